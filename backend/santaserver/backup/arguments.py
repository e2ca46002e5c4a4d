"""The arguments of `santaserver restore`; apart, since every command builds the parser."""

import argparse


def add_restore_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="a backup, - for standard input")
    parser.add_argument(
        "--other-secret-key", action="store_true", help="restore although SECRET_KEY is another one"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="only read the file to its end: writes nothing")
    how.add_argument(
        "--in-place",
        action="store_true",
        help="the database was restored by other means (pgBackRest, a snapshot): make Macs fit to it again",
    )
