"""Whether `SECRET_KEY` and the keys before it are secrets. Pure."""

from collections.abc import Sequence

from santaserver.weak_secrets import is_known_default, weakness

MIN_LENGTH = 32
DEVELOPMENT_KEY = "development-only-key-never-used-in-production"
REMEDY = "set 32 or more random characters, for example from openssl rand -hex 32"


def secret_key_errors(key: str, previous: Sequence[str]) -> list[str]:
    """Return what is wrong with the keys of a server in production, each with its remedy."""
    errors = []
    if not key:
        errors.append("SECRET_KEY is missing: set 32 or more random characters (or SECRET_KEY_FILE)")
    elif problem := _problem(key):
        errors.append(f"SECRET_KEY {problem}: {REMEDY}")
    for number, one in enumerate(previous, start=1):
        name = "SECRET_KEY_PREVIOUS" if len(previous) == 1 else f"SECRET_KEY_PREVIOUS, line {number},"
        if problem := _problem(one):
            errors.append(f"{name} {problem}, so anyone could sign with it: remove it")
        elif one == key:
            errors.append(f"{name} is the same as SECRET_KEY: set SECRET_KEY to a new key, or remove it")
    return errors


def _problem(key: str) -> str | None:
    """Return why a key is no secret; None when it looks like one."""
    if is_known_default(key) or key == DEVELOPMENT_KEY:
        return "is a known default"
    if len(key) < MIN_LENGTH:
        return f"has {len(key)} characters, and {MIN_LENGTH} are needed"
    return weakness(key)
