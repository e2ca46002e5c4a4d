"""The command line: `python -m santaserver …`. Each command imports its modules when it runs."""

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from getpass import getpass
from pathlib import Path
from typing import TextIO

from santaserver import __version__, logs
from santaserver.redaction import Redactor
from santaserver.settings import Settings, load
from santaserver.settings_area import SettingsError

EX_CONFIG = 78
EX_FAILED = 1
EX_USAGE = 2

AUDIT = "Verify, export and attest the audit log."

log = logging.getLogger("santaserver")


def serve_socket(sock: socket.socket, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve on a socket with the settings of the environment."""
    settings = _settings()
    from santaserver.serve import run  # noqa: PLC0415

    run(settings, sock, on_ready)


def serve(arguments: argparse.Namespace) -> int:
    """Serve requests until stopped."""
    from santaserver.serve import ServeError, bind_unix, inherited_socket  # noqa: PLC0415

    path = arguments.uds or _settings().server.uds
    try:
        if arguments.fd is not None:
            sock = inherited_socket(arguments.fd)
        elif path:
            sock = bind_unix(Path(path))
        else:
            raise ServeError("no socket given: use --fd N or --uds PATH, or set UVICORN_UDS")  # noqa: TRY301
    except ServeError as error:
        log.error("cannot serve: %s", error)  # noqa: TRY400 - the message is the whole story
        return EX_FAILED
    serve_socket(sock)
    return 0


def dev(arguments: argparse.Namespace) -> int:
    """Serve from the sources; SIGHUP reloads them."""
    from santaserver import dev as zygote  # noqa: PLC0415
    from santaserver.serve import ServeError, inherited_socket  # noqa: PLC0415

    _settings()
    try:
        return zygote.main(inherited_socket(arguments.fd))
    except ServeError as error:
        log.error("cannot serve: %s", error)  # noqa: TRY400 - the message is the whole story
        return EX_FAILED


def migrate(_: argparse.Namespace) -> int:
    """Migrate the database to this version's schema."""
    from santaserver.migrations import HEAD, runner  # noqa: PLC0415
    from santaserver.migrations.files import MigrationError  # noqa: PLC0415
    from santaserver.postgres.failures import hint  # noqa: PLC0415

    settings = _settings()
    try:
        database = settings.database
        server = database.direct_dsn if database.owner_url else None
        outcome = asyncio.run(runner.migrate(database.owner_url or database.direct_dsn, server))
    except MigrationError as error:
        log.error("the database was not migrated: %s", error)  # noqa: TRY400 - the message is the whole story
        return EX_FAILED
    except Exception as error:
        log.error("the database was not migrated: %s", hint(error))  # noqa: TRY400 - one line is enough
        log.debug("migration failed", exc_info=error)
        return EX_FAILED
    log.info("database schema %04d: %s", HEAD, outcome.value)
    return 0


def demo(_: argparse.Namespace) -> int:
    """Fill the database with a demo fleet."""
    from santaserver.demo import run  # noqa: PLC0415

    asyncio.run(run(_settings(), os.environ))
    return 0


def create_admin(arguments: argparse.Namespace) -> int:
    """Create an administrator, or set the password of one."""
    from santaserver.accounts import create_admin as create  # noqa: PLC0415
    from santaserver.errors import Conflict  # noqa: PLC0415

    settings = _settings()
    password = _password(arguments)
    if password is None:
        return EX_FAILED
    try:
        asyncio.run(create(settings, arguments.username, password))
    except Conflict as problem:
        log.error("account not created: %s", problem.detail)  # noqa: TRY400 - the message is the whole story
        return EX_FAILED
    log.info("administrator %s can log in", arguments.username)
    return 0


def user(arguments: argparse.Namespace) -> int:
    """Manage users: create them, give and take roles and groups, set passwords, disable and enable."""
    from santaserver.groups.command import run as run_group_action  # noqa: PLC0415
    from santaserver.users.user_command import run as run_action  # noqa: PLC0415

    settings = _settings()
    if "group" in arguments:
        if not _changed(run_group_action(settings, arguments)):
            return EX_FAILED
        log.info("user %s: %s done", arguments.username, arguments.action)
        return 0
    password = None
    if "password_stdin" in arguments:
        password = _password(arguments)
        if password is None:
            return EX_FAILED
    if not _changed(run_action(settings, arguments, password)):
        return EX_FAILED
    if arguments.action != "list":
        log.info("user %s: %s done", arguments.username, arguments.action)
    return 0


def token(arguments: argparse.Namespace) -> int:
    """Manage API tokens: list, create, rotate and revoke them."""
    from santaserver.tokens.command import run as run_action  # noqa: PLC0415

    return 0 if _changed(run_action(_settings(), arguments)) else EX_FAILED


def import_file(arguments: argparse.Namespace) -> int:
    """Import rules of another server or tool: a preview, and with --apply the import itself."""
    from santaserver.errors import Problem  # noqa: PLC0415
    from santaserver.rules.import_command import USAGE, CannotRead  # noqa: PLC0415
    from santaserver.rules.import_command import run as run_import  # noqa: PLC0415

    settings = _settings()
    try:
        return asyncio.run(run_import(settings, arguments))
    except CannotRead as error:
        log.error("nothing imported: %s", error)  # noqa: TRY400 - the message is the whole story
        return USAGE
    except Problem as problem:
        log.error("nothing imported: %s", problem.detail)  # noqa: TRY400 - the message is the whole story
        return EX_FAILED
    except ValueError as error:
        log.error("nothing imported: %s", " ".join(str(error).split()))  # noqa: TRY400
        return USAGE


def _changed(change: Coroutine[object, object, None]) -> bool:
    """Run what changes something; tell whether it did, and log why not."""
    from santaserver.errors import Problem  # noqa: PLC0415

    try:
        asyncio.run(change)
    except Problem as problem:
        log.error("nothing changed: %s", problem.detail)  # noqa: TRY400 - the message is the whole story
        return False
    except ValueError as error:
        log.error("nothing changed: %s", " ".join(str(error).split()))  # noqa: TRY400
        return False
    return True


def setup_link(_: argparse.Namespace) -> int:
    """Print a link that creates the first administrator, valid for 30 minutes; earlier ones end."""
    from santaserver.accounts import create_setup_link  # noqa: PLC0415

    link = asyncio.run(create_setup_link(_settings()))
    if link is None:
        log.error("there is an administrator already: use `user create` or `create-admin`")
        return EX_FAILED
    sys.stdout.write(f"{link}\n")
    return 0


def _password(arguments: argparse.Namespace) -> str | None:
    """Read a password; None when it is not good enough, which is logged."""
    from santaserver.users.password_rules import weakness  # noqa: PLC0415

    password = sys.stdin.readline().rstrip("\n") if arguments.password_stdin else getpass("Password: ")
    found = weakness(password, [arguments.username])
    if found is None:
        return password
    log.error("nothing changed: %s", found[0].lower() + found[1:])
    return None


def permissions(arguments: argparse.Namespace) -> int:
    """Write which role may use which endpoint, as Markdown."""
    from santaserver.permission_docs import markdown  # noqa: PLC0415

    text = markdown()
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        arguments.output.write_text(text, encoding="utf-8")
    return 0


def create_enrollment(arguments: argparse.Namespace) -> int:
    """Create an enrollment and print its secret, which cannot be shown again."""
    from santaserver.accounts import create_enrollment as create  # noqa: PLC0415

    secret = asyncio.run(create(_settings(), arguments.label, arguments.quota))
    sys.stdout.write(secret + "\n")
    return 0


def list_sessions(arguments: argparse.Namespace) -> int:
    """List open sessions: id, user, last use, address and browser."""
    from santaserver.users.command import print_sessions  # noqa: PLC0415

    asyncio.run(print_sessions(_settings(), arguments.user))
    return 0


def revoke_sessions(arguments: argparse.Namespace) -> int:
    """End sessions immediately: one, all of a user, or all."""
    from santaserver.users.command import revoke_sessions as revoke  # noqa: PLC0415

    ended = asyncio.run(revoke(_settings(), arguments.user, arguments.id))
    log.info("ended %d sessions", ended)
    return 0


def audit_verify(arguments: argparse.Namespace) -> int:
    """Verify an export of the audit log offline; the first bad entry is named, and the exit code is 1."""
    from santaserver.audit_log import command  # noqa: PLC0415

    try:
        result = command.verify_file(arguments.file, arguments.checkpoint, arguments.key)
    except command.CannotVerify as error:
        sys.stderr.write(f"not verified: {error}\n")
        return EX_FAILED
    noted, signed = bool(arguments.checkpoint), arguments.key is not None
    sys.stdout.write(command.report(result, noted=noted, signed=signed))
    return EX_FAILED if result.fault else 0


def audit_export(arguments: argparse.Namespace) -> int:
    """Write the audit log, a line of JSON for each entry."""
    from santaserver.audit_log.command import export_file  # noqa: PLC0415

    asyncio.run(export_file(_settings(), arguments.output))
    return 0


def audit_checkpoint(_: argparse.Namespace) -> int:
    """Make a checkpoint of the audit log and print it."""
    from santaserver.audit_log.command import make_checkpoint  # noqa: PLC0415

    sys.stdout.write(asyncio.run(make_checkpoint(_settings())))
    return 0


def audit_key(_: argparse.Namespace) -> int:
    """Print the key that verifies this server's checkpoints."""
    from santaserver.audit_log.checkpoints import signer_of  # noqa: PLC0415

    signer = signer_of(_settings())
    if signer is None:
        log.error(
            "checkpoints are not signed: set AUDIT_KEY_FILE; openssl genpkey -algorithm ed25519 makes a key"
        )
        return EX_FAILED
    sys.stdout.write(f"{signer.verifier}\n")
    return 0


def audit_erase(arguments: argparse.Namespace) -> int:
    """Erase names, addresses, reasons and contents of old audit entries; the entries still verify."""
    from santaserver.audit_log.command import erase_details  # noqa: PLC0415

    erased = asyncio.run(erase_details(_settings(), arguments.before))
    log.info("erased the details of %d audit entries", erased)
    return 0


def backup(arguments: argparse.Namespace) -> int:
    """Write a backup of the database to standard output, while the server runs; it has all but events."""
    from santaserver.backup import command  # noqa: PLC0415

    if sys.stdout.isatty():
        sys.stderr.write("a backup is a file: santaserver backup > FILE\n")
        return EX_USAGE
    code = command.backup(_settings(sys.stderr), sys.stdout.buffer, events=arguments.events)
    if code:  # what is still to be written goes nowhere, so that the exit code is this one
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def restore(arguments: argparse.Namespace) -> int:
    """Restore a backup into an empty database while no server runs, or check a file without a database."""
    from santaserver.backup import command  # noqa: PLC0415

    if arguments.in_place == (arguments.file is not None):
        sys.stderr.write("give a FILE, - for standard input, or --in-place\n")
        return EX_USAGE
    if arguments.check:
        return command.check(arguments.file)
    settings = _settings(sys.stderr)
    if arguments.in_place:
        return command.settle_in_place(settings)
    return command.restore_file(settings, arguments.file, other_key=arguments.other_secret_key)


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


def openapi(arguments: argparse.Namespace) -> int:
    """Write the OpenAPI document."""
    from santaserver import openapi as document  # noqa: PLC0415
    from santaserver.main import create_app  # noqa: PLC0415

    text = document.dumps(document.build(create_app(Settings())))
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        arguments.output.write_text(text, encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    from santaserver.backup.arguments import add_restore_arguments  # noqa: PLC0415
    from santaserver.rules import import_arguments  # noqa: PLC0415
    from santaserver.tokens import arguments as token_arguments  # noqa: PLC0415
    from santaserver.users import arguments as user_arguments  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m santaserver", description="SantaServer's backend.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        added.set_defaults(run=run)
        return added

    where = command("serve", serve).add_mutually_exclusive_group()
    where.add_argument(
        "--fd", type=int, metavar="N", help="serve on the inherited socket with this descriptor"
    )
    where.add_argument(
        "--uds", type=Path, metavar="PATH", help="serve on this Unix socket (default: UVICORN_UDS)"
    )
    command("dev", dev).add_argument(
        "--fd", type=int, metavar="N", required=True, help="descriptor of the inherited socket"
    )
    command("migrate", migrate)
    command("demo", demo)
    admin = command("create-admin", create_admin)
    admin.add_argument("username")
    admin.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    user_arguments.add_actions(command("user", user))
    token_arguments.add_actions(command("token", token))
    import_arguments.add_arguments(command("import", import_file))
    command("setup-link", setup_link)
    enrollment = command("create-enrollment", create_enrollment)
    enrollment.add_argument("label", help="what the secret is for")
    enrollment.add_argument("--quota", type=int, help="machine limit")
    command("sessions", list_sessions).add_argument("--user", help="only sessions of this user")
    which = command("revoke-sessions", revoke_sessions).add_mutually_exclusive_group(required=True)
    which.add_argument("--user", help="all sessions of this user")
    which.add_argument("--id", type=int, help="the session with this id, as `sessions` shows it")
    which.add_argument("--all", action="store_true", help="every session")
    _audit_commands(commands.add_parser("audit", help=AUDIT, description=AUDIT))
    command("backup", backup).add_argument("--events", action="store_true", help="with the events of Macs")
    add_restore_arguments(command("restore", restore))
    command("openapi", openapi).add_argument(
        "--output", type=Path, metavar="FILE", help="write to this file instead of standard output"
    )
    command("permissions", permissions).add_argument(
        "--output", type=Path, metavar="FILE", help="write to this file instead of standard output"
    )
    return parser


def _audit_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        added.set_defaults(run=run)
        return added

    verify = command("verify", audit_verify)
    verify.add_argument("file", type=Path, metavar="FILE", help="an export of the audit log")
    verify.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="checkpoints that were kept elsewhere; may be given several times",
    )
    verify.add_argument("--key", help="what `audit key` prints, or a file with it: checks who signed them")
    command("export", audit_export).add_argument(
        "--output", type=Path, metavar="FILE", help="write to this file instead of standard output"
    )
    command("checkpoint", audit_checkpoint)
    command("key", audit_key)
    command("erase", audit_erase).add_argument(
        "--before", type=_day, required=True, metavar="DAY", help="such as 2026-01-31, in UTC"
    )


def _settings(output: TextIO | None = None) -> Settings:
    try:
        settings = load(os.environ)
    except SettingsError as error:
        logs.configure("info", stream=output)
        lines = Redactor()("\n".join(f"  - {one}" for one in error.errors))
        sys.stderr.write(f"SantaServer cannot start, the configuration is invalid:\n{lines}\n")
        raise SystemExit(EX_CONFIG) from error
    logs.configure(settings.server.log_level, settings.secrets, output)
    return settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        result: int = parsed.run(parsed)
    except Exception as error:
        if error.__class__.__name__ != "DatabaseUnavailable":
            raise
        log.error("nothing changed: %s", error)  # noqa: TRY400 - the line before names the cause
        return EX_FAILED
    return result


if __name__ == "__main__":
    sys.exit(main())
