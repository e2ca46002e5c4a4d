"""The arguments of `santaserver token …`; apart, since every command builds the parser."""

import argparse

from santaserver.permissions import Permission


def add_actions(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    listed = actions.add_parser("list", help="list tokens: id, owner, name, beginning, end, last use")
    listed.add_argument("--user", help="only those of this user or service account")
    create = actions.add_parser("create", help="create a token and print its secret, which is shown once")
    create.add_argument("username", help="the owner: a service account or a user")
    create.add_argument("name", help="what it is for")
    create.add_argument(
        "--permission", action="append", required=True, choices=[str(one) for one in Permission], metavar="P"
    )
    create.add_argument("--tag", action="append", help="limit it to what has this tag; can be repeated")
    create.add_argument("--network", action="append", metavar="CIDR", help="who may use it; can be repeated")
    create.add_argument(
        "--days", type=int, default=90, help="when it ends (default: %(default)s; at most 366)"
    )
    rotate = actions.add_parser("rotate", help="give a token another secret and print it")
    rotate.add_argument("id", type=int, help="as `token list` shows it")
    rotate.add_argument(
        "--overlap-hours", type=int, default=0, help="how long the present secret still works (default: 0)"
    )
    rotate.add_argument("--days", type=int, help="another end")
    revoke = actions.add_parser("revoke", help="revoke a token for good, within seconds everywhere")
    revoke.add_argument("id", type=int, help="as `token list` shows it")
