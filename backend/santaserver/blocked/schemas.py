"""The public answer about a blocked program."""

from typing import Literal

from pydantic import BaseModel, Field

Cause = Literal["file", "build", "app", "developer", "certificate", "path", "unknown", "other"]


class BlockedProgram(BaseModel):
    """What Santa's dialog has shown, and which kind of rule was behind it."""

    name: str = Field(description="Name of the program; empty when nothing is known")
    publisher: str = Field(description="Who signed it; empty when nobody did, or nothing is known")
    cause: Cause | None = Field(
        description="`unknown`: no rule allowed it; else what the rule was for. null: nothing is known"
    )
