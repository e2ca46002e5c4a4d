"""The synced settings in the REST interface and the database."""

from copy import copy
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, create_model
from pydantic_core import PydanticUndefined

from santaserver.inputs import Input, Line, Reason, Text, unchanged
from santaserver.layers.schemas import LayerName
from santaserver.protocol.body import MAX_BATCH
from santaserver.sync_settings.path_pattern import check_pattern
from santaserver.web_address import DialogAddress

ClientMode = Literal["MONITOR", "LOCKDOWN", "STANDALONE"]
MountFlag = Literal["rdonly", "noexec", "nosuid", "nobrowse", "noowners", "nodev", "async", "-j"]


class MediaPolicy(BaseModel):
    """What happens when removable media is mounted."""

    action: Literal["allow", "block", "remount"] = "allow"
    flags: list[MountFlag] = Field([], max_length=8, description="Mount flags; only for `remount`")


class MediaPolicyUpdate(MediaPolicy, Input):
    """The same as it may be stored; without an action it would allow what was blocked."""

    model_config = Input.model_config

    action: Literal["allow", "block", "remount"]


class SyncSettings(BaseModel):
    """All settings that a preflight sets on a Mac; each response contains all of them, since absent fields
    would persist.
    """

    client_mode: ClientMode = "MONITOR"
    batch_size: int = Field(50, ge=1, le=1000, description="Events per upload")
    full_sync_interval: int = Field(600, ge=60, le=86_400, description="Seconds between syncs")
    push_notification_full_sync_interval: int = Field(
        14_400, ge=60, le=86_400, description="Seconds, with push"
    )
    push_notification_global_rule_sync_deadline: int = Field(600, ge=600, le=86_400, description="Seconds")
    enable_bundles: bool = True
    enable_transitive_rules: bool = False
    enable_all_event_upload: bool = False
    disable_unknown_event_upload: bool = False
    allowed_path_regex: str = Field("", max_length=4000, description="Empty: no path is allowed by pattern")
    blocked_path_regex: str = Field("", max_length=4000, description="Empty: no path is blocked by pattern")
    removable_media_policy: MediaPolicy = MediaPolicy()
    encrypted_removable_media_policy: MediaPolicy | None = Field(
        None, description="For encrypted volumes; null: as for other volumes"
    )
    override_file_access_action: Literal["NONE", "AUDIT_ONLY", "DISABLE"] = "NONE"
    event_detail_url: str = Field(
        "", max_length=2000, description="Template behind the block dialog's button"
    )
    event_detail_text: str = Field("", max_length=200, description="Label of that button")


PathPattern = Annotated[Line, AfterValidator(check_pattern)]
DIALECT = "a regular expression of ICU that begins with ^, best `^(?:…)`: Santa puts ^ before it at a restart"


class SyncSettingsUpdate(SyncSettings, Input):
    """The settings as they may be stored. What was stored under earlier rules stays in force."""

    model_config = Input.model_config

    batch_size: int = Field(
        50,
        ge=1,
        le=MAX_BATCH,
        description=f"Events per upload; {MAX_BATCH} of the largest are as much as an upload may hold",
    )
    allowed_path_regex: PathPattern = Field(
        "", max_length=4000, description=f"Empty: none is allowed; {DIALECT}"
    )
    blocked_path_regex: PathPattern = Field(
        "", max_length=4000, description=f"Empty: none is blocked; {DIALECT}"
    )
    removable_media_policy: MediaPolicyUpdate = MediaPolicyUpdate(action="allow")
    encrypted_removable_media_policy: MediaPolicyUpdate | None = Field(
        None, description="For encrypted volumes; null: as for other volumes"
    )
    event_detail_url: DialogAddress = Field(
        "", max_length=2000, description="Template behind the block dialog's button"
    )
    event_detail_text: Text = Field("", max_length=200, description="Label of that button")


Lockable = Annotated[Line, Field(max_length=100)]


class LayerSettingsUpdate(Input):
    """All settings to define in one layer; others come from the layers below, or are defaults."""

    values: SyncSettingsUpdate = Field(
        description="Only the settings named in the request belong to the layer"
    )
    locked: list[Lockable] = Field(max_length=100, description="Of these, what higher layers cannot change")
    reason: Reason = ""


NULLABLE = frozenset({"encrypted_removable_media_policy"})
"""Settings that have null as a value of their own."""


def _nullable() -> dict[str, Any]:
    """Return the fields of settings of which any may be left out, or null."""
    fields: dict[str, Any] = {}
    for name, info in SyncSettingsUpdate.model_fields.items():
        field = copy(info)
        field.default, field.default_factory, field.metadata = PydanticUndefined, unchanged, []
        value: Any = info.annotation
        for check in info.metadata:
            value = Annotated[value, check]  # of a value, not of null
        fields[name] = (value | None, field)
    return fields


SettingsPatch = create_model(
    "SettingsPatch",
    __base__=Input,
    __doc__="""Settings to change. What is left out stays; null removes a setting from the layer, so that it
    comes from the layers below or is the default. Only encrypted_removable_media_policy has null as a value.
    """,
    **_nullable(),
)


class GlobalSettingsPatch(SettingsPatch):
    """Settings of the global layer to change. What is left out stays; null restores the default."""

    reason: Reason = ""


class LayerSettingsPatch(Input):
    """What to change of the settings defined in one layer; what is left out stays."""

    values: SettingsPatch = Field(default_factory=SettingsPatch)
    unset: list[Lockable] = Field(
        [], max_length=100, description="Settings to remove from the layer; also those that can be null"
    )
    locked: list[Lockable] = Field(
        default_factory=unchanged, max_length=100, description="All settings that higher layers cannot change"
    )
    reason: Reason = ""


class LayerSettings(BaseModel):
    """The settings defined in one layer."""

    values: SyncSettings = Field(description="Only the settings that belong to the layer")
    locked: list[str] = Field(description="Of these, what higher layers cannot change")
    layer: LayerName
    etag: str = Field(description="For `If-Match`")
