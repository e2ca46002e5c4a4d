"""Import and export: the file's rows and the plan of an import."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from santaserver.inputs import MAX_ROW_ID, Input, Line, Text, Time
from santaserver.layers.schemas import GLOBAL, LayerName
from santaserver.policy.targets import Policy, RuleType
from santaserver.rules.schemas import MAX_CEL, MAX_TEXT
from santaserver.web_address import DialogAddress

FileFormat = Literal["json", "csv"]
Action = Literal["add", "change", "remove"]

VERSION = 1
"""Of the JSON form."""
MAX_FILE = 16 * 1024 * 1024
"""Characters; as JSON text it has to fit into the largest body of an import."""
MAX_ROWS = 100_000
SHOWN = 500
"""Changes and errors that a plan lists; all of them are counted."""


class FileRule(Input):
    """One rule of a file; what is left out has its default."""

    layer: LayerName = GLOBAL
    rule_type: RuleType
    identifier: Line = Field(min_length=1, max_length=1000)
    policy: Policy
    cel_expr: Text | None = Field(None, max_length=MAX_CEL)
    custom_msg: Text = Field("", max_length=MAX_TEXT)
    custom_url: DialogAddress = Field("", max_length=MAX_TEXT)
    comment: Text = Field("", max_length=MAX_TEXT)
    locked: bool = False
    starts_at: Time | None = None
    expires_at: Time | None = None


COLUMNS = tuple(FileRule.model_fields)
ALWAYS = ("layer", "rule_type", "identifier", "policy")


class FileError(Exception):
    """A file cannot be read beyond a line."""

    def __init__(self, line: int, message: str) -> None:
        """Keep where and why."""
        super().__init__(message)
        self.line = line


class RuleImport(Input):
    """A file of rules and what to do with it."""

    format: FileFormat
    content: str = Field(max_length=MAX_FILE, description="The file's text")
    remove_missing: bool = Field(
        False, description="In the layers that the file names, remove rules that it does not name"
    )
    dry_run: bool = Field(True, description="Only report what would happen")
    override_guard: bool = Field(
        False, description="Save rules even if they block what a Mac needs to stay manageable"
    )
    policy_seq: int | None = Field(
        None,
        ge=0,
        le=MAX_ROW_ID,
        description="Import only if the policy is still the one that the plan was made for",
    )
    reason: Text = Field("", max_length=MAX_TEXT, description="Stored with every version that it creates")


class PlannedChange(BaseModel):
    """What an import does to one rule."""

    action: Action
    line: int | None = Field(description="Where the file names it; null for a removal")
    layer: LayerName
    rule_type: RuleType
    identifier: str
    before: Policy | None
    after: Policy | None


class FileMistake(BaseModel):
    """Something in the file that cannot be imported."""

    line: int = Field(description="From 1; for a rule the line that it begins on")
    field: str = Field(description="Empty when it is about the whole line or file")
    message: str


class ImportPlan(BaseModel):
    """The result of an import, or of a dry run."""

    applied: bool
    policy_seq: int = Field(description="Number of the policy that it was made for, or has made")
    rules: int = Field(description="Rules in the file")
    added: int
    changed: int
    removed: int
    unchanged: int
    changes: Annotated[list[PlannedChange], Field(description=f"The first {SHOWN}")]
    mistakes: Annotated[list[FileMistake], Field(description=f"The first {SHOWN}; with any, nothing is done")]
    mistakes_total: int
    warnings: list[str] = Field([], description="What else to know: what is blocked already, or may be")
