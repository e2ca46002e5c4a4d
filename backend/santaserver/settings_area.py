"""How one area of the settings is read: a model over the environment, whose errors are collected."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

SECRET_VARIABLES = (
    "SECRET_KEY",
    "SECRET_KEY_PREVIOUS",
    "POSTGRES_PASSWORD",
    "DATABASE_URL",
    "DATABASE_DIRECT_URL",
    "DATABASE_OWNER_URL",
    "CLIENT_SECRET",
    "AUDIT_KEY",
    "PROFILE_SIGNING_CERTIFICATE",
    "PROFILE_SIGNING_KEY",
)
"""Each may instead be given as NAME_FILE with the path of a file that holds the value."""


class Area(BaseModel):
    """Settings that belong together; the alias of each field is its variable."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=False, str_strip_whitespace=True)


AreaT = TypeVar("AreaT", bound=Area)


class SettingsError(Exception):
    """Invalid settings: one line for each wrong variable."""

    def __init__(self, errors: list[str]) -> None:
        """Keep the lines, in the order of the areas."""
        super().__init__("\n".join(errors))
        self.errors = errors


def read_secret_files(values: dict[str, str], errors: list[str]) -> None:
    """Put the content of files into `values`, and what is wrong with them into `errors`."""
    for name in SECRET_VARIABLES:
        path = values.get(f"{name}_FILE")
        if path is None:
            continue
        if name in values:
            errors.append(f"{name} and {name}_FILE are both set: set only one of them")
            continue
        try:
            values[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            errors.append(f"{name}_FILE: cannot read {path}: {error.__class__.__name__}")
            continue
        if not values[name]:
            errors.append(f"{name}_FILE: {path} is empty")


def read_area(kind: type[AreaT], values: Mapping[str, str], errors: list[str]) -> AreaT:
    """Return an area; wrong values are left out and described in `errors`."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        details = error.errors()
        errors += [_sentence(detail) for detail in details]
        wrong = {str(detail["loc"][0]) for detail in details}
        return kind.model_validate({name: value for name, value in values.items() if name not in wrong})


def _sentence(detail: ErrorDetails) -> str:
    name = str(detail["loc"][0])
    shown = "" if name in SECRET_VARIABLES or "@" in str(detail["input"]) else f" (is {detail['input']!r})"
    return f"{name}: {detail['msg'].removeprefix('Value error, ')}{shown}"
