"""The arguments of `santaserver user …`; apart, since every command builds the parser."""

import argparse

ROLE = "a role that comes with the program, or one made here, by its name"


def add_actions(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    actions.add_parser("list", help="list users: id, name, state, roles (`role@tag` for a limited one)")

    def action(name: str, text: str, *, password: bool = False) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text)
        added.add_argument("username")
        if password:
            added.add_argument(
                "--password-stdin", action="store_true", help="read the password from standard input"
            )
        return added

    def limited(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--tag", action="append", help="limit the role to what has this tag; can be repeated"
        )

    create = action("create", "create a user", password=True)
    create.add_argument("--role", help=f"what the user may do: {ROLE}")
    create.add_argument("--display-name", default="", help="the name that is shown")
    limited(create)
    for name, text in (("grant", "give a role"), ("revoke", "take a role away")):
        changed = action(name, text)
        changed.add_argument("role", help=ROLE)
        limited(changed)
    for name, text in (("join-group", "add to a local group"), ("leave-group", "take out of a local group")):
        action(name, text).add_argument("group", help="the name of the group")
    action("set-password", "set the password and end the sessions", password=True)
    action("reset-second-factor", "remove the authenticator app, passkeys and recovery codes")
    action("disable", "refuse logins and end the sessions")
    action("enable", "allow logins again")
