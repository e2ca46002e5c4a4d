"""Import and export: the file's rows and the plan of an import."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from santaserver.inputs import MAX_ROW_ID, Input, Line, Text, Time
from santaserver.layers.schemas import GLOBAL, LayerName
from santaserver.policy.targets import Policy, RuleType
from santaserver.rules.schemas import MAX_CEL, MAX_TEXT
from santaserver.web_address import DialogAddress

FileFormat = Literal["json", "csv"]
"""Of this server's own files."""
ImportFormat = Literal["json", "csv", "auto"]
Encoding = Literal["text", "base64"]
Action = Literal["add", "change", "remove"]

VERSION = 1
"""Of the JSON form."""
MAX_FILE = 16 * 1024 * 1024
"""Characters; as JSON text it has to fit into the largest body of an import."""
MAX_ROWS = 100_000
FIRST_REMOVAL = MAX_ROWS + 1
"""The number of a file's first order to remove a rule; the rules come before."""
SHOWN = 500
"""Changes and errors that a plan lists; all of them are counted."""
SHOWN_NOTES = 100
"""Notes of one kind that a plan lists."""


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

    format: ImportFormat = Field(
        description="`json` and `csv`: as this server exports. `auto`: files of other servers and tools too, "
        "recognized by their content"
    )
    content: str = Field(max_length=MAX_FILE, description="The file's text, or its bytes in Base64")
    encoding: Encoding = Field("text", description="How `content` holds the file; `base64` with `auto` only")
    file_name: Line = Field(
        "", max_length=255, description="Moroz names the file of one Mac by its machine id"
    )
    layer: LayerName = Field(GLOBAL, description="For rules of other tools that name no scope")
    configuration: Line = Field(
        "", max_length=200, description="Of a file with several configurations, the one to import: id or name"
    )
    last_wins: bool = Field(
        False, description="Of two rules for one target, take the last; for files of tools that do the same"
    )
    message_to_comment: bool = Field(
        False, description="Make the message of rules that allow their comment; Macs never show it"
    )
    tag_names: dict[Line, Line] = Field(
        {}, max_length=300, description="Names of tags by their numbers, for files that have only numbers"
    )
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

    line: int = Field(description="From 1; for a rule the line that it begins on. 0: the file has no lines")
    field: str = Field(description="Empty when it is about the whole line or file")
    message: str
    code: str = Field("", description="What kind of mistake it is, for programs")
    column: int | None = Field(None, description="From 1, in files of other tools")
    entry: int | None = Field(None, description="Number of the rule in the file, from 1")
    file: str = Field("", description="Name of the file in an archive")


class FileNote(BaseModel):
    """An entry that is left out, or something to know about one."""

    line: int = Field(description="From 1; 0: the file has no lines, or it is about the whole file")
    column: int | None
    entry: int | None
    field: str
    message: str
    file: str


class FileNotes(BaseModel):
    """Notes of one kind."""

    code: str
    count: int
    notes: Annotated[list[FileNote], Field(description=f"The first {SHOWN_NOTES}")]


class LayerCount(BaseModel):
    """How many rules of a file go to a layer."""

    layer: str
    rules: int


class FileConfiguration(BaseModel):
    """One of several rule sets in a file."""

    id: str
    name: str
    rules: int


class FileCandidate(BaseModel):
    """A program in a log of executions."""

    line: int
    decision: str
    reason: str
    sha256: str
    path: str
    team_id: str
    count: int


class RecognizedFile(BaseModel):
    """How a file of another server or tool was understood."""

    format: str
    title: str = Field(description="What the format is called")
    rules: int = Field(description="Rules for layers; a rule of the file may be in several")
    removals: int = Field(description="Orders to remove a rule")
    absent: int = Field(0, description="Of these, how many have no rule to remove")
    layers: Annotated[list[LayerCount], Field(description=f"The first {SHOWN}, in the order of the file")]
    settings: dict[str, str | int | bool] = Field(description="Settings in the file; they are not imported")
    configurations: list[FileConfiguration]
    choices: list[str] = Field(description="Fields of the request that mean something for this file")
    skipped_total: int
    skipped: list[FileNotes]
    warnings_total: int
    warnings: list[FileNotes]
    candidates: Annotated[list[FileCandidate], Field(description=f"Of a log, the first {SHOWN} programs")]


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
    missing_layers: Annotated[
        list[str], Field(description=f"Layers that do not exist, the first {SHOWN}: create the tags first")
    ] = []
    recognized: RecognizedFile | None = Field(
        None, description="With `auto`, for a file that is not in this server's own form"
    )
