from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClientMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNKNOWN_CLIENT_MODE: _ClassVar[ClientMode]
    MONITOR: _ClassVar[ClientMode]
    LOCKDOWN: _ClassVar[ClientMode]
    STANDALONE: _ClassVar[ClientMode]

class SyncType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SYNC_TYPE_UNSPECIFIED: _ClassVar[SyncType]
    NORMAL: _ClassVar[SyncType]
    CLEAN: _ClassVar[SyncType]
    CLEAN_ALL: _ClassVar[SyncType]

class FileAccessAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILE_ACCESS_ACTION_UNSPECIFIED: _ClassVar[FileAccessAction]
    NONE: _ClassVar[FileAccessAction]
    AUDIT_ONLY: _ClassVar[FileAccessAction]
    DISABLE: _ClassVar[FileAccessAction]

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNKNOWN: _ClassVar[Decision]
    ALLOW_UNKNOWN: _ClassVar[Decision]
    ALLOW_BINARY: _ClassVar[Decision]
    ALLOW_CERTIFICATE: _ClassVar[Decision]
    ALLOW_SCOPE: _ClassVar[Decision]
    ALLOW_TEAMID: _ClassVar[Decision]
    ALLOW_SIGNINGID: _ClassVar[Decision]
    ALLOW_CDHASH: _ClassVar[Decision]
    BLOCK_UNKNOWN: _ClassVar[Decision]
    BLOCK_BINARY: _ClassVar[Decision]
    BLOCK_CERTIFICATE: _ClassVar[Decision]
    BLOCK_SCOPE: _ClassVar[Decision]
    BLOCK_TEAMID: _ClassVar[Decision]
    BLOCK_SIGNINGID: _ClassVar[Decision]
    BLOCK_CDHASH: _ClassVar[Decision]
    BUNDLE_BINARY: _ClassVar[Decision]
    ALLOW_CEL_FALLBACK: _ClassVar[Decision]
    BLOCK_CEL_FALLBACK: _ClassVar[Decision]
    BLOCK_BINARY_MISMATCH: _ClassVar[Decision]
    ALLOW_PLATFORM: _ClassVar[Decision]

class SigningStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNING_STATUS_UNSPECIFIED: _ClassVar[SigningStatus]
    SIGNING_STATUS_UNSIGNED: _ClassVar[SigningStatus]
    SIGNING_STATUS_INVALID: _ClassVar[SigningStatus]
    SIGNING_STATUS_ADHOC: _ClassVar[SigningStatus]
    SIGNING_STATUS_DEVELOPMENT: _ClassVar[SigningStatus]
    SIGNING_STATUS_PRODUCTION: _ClassVar[SigningStatus]

class FileAccessDecision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILE_ACCESS_DECISION_UNKNOWN: _ClassVar[FileAccessDecision]
    FILE_ACCESS_DECISION_DENIED: _ClassVar[FileAccessDecision]
    FILE_ACCESS_DECISION_DENIED_INVALID_SIGNATURE: _ClassVar[FileAccessDecision]
    FILE_ACCESS_DECISION_AUDIT_ONLY: _ClassVar[FileAccessDecision]

class Policy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_UNKNOWN: _ClassVar[Policy]
    ALLOWLIST: _ClassVar[Policy]
    ALLOWLIST_COMPILER: _ClassVar[Policy]
    BLOCKLIST: _ClassVar[Policy]
    SILENT_BLOCKLIST: _ClassVar[Policy]
    REMOVE: _ClassVar[Policy]
    CEL: _ClassVar[Policy]
    SILENT_GUI_BLOCKLIST: _ClassVar[Policy]
    SILENT_TTY_BLOCKLIST: _ClassVar[Policy]

class RuleType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RULETYPE_UNKNOWN: _ClassVar[RuleType]
    BINARY: _ClassVar[RuleType]
    CERTIFICATE: _ClassVar[RuleType]
    TEAMID: _ClassVar[RuleType]
    SIGNINGID: _ClassVar[RuleType]
    CDHASH: _ClassVar[RuleType]
UNKNOWN_CLIENT_MODE: ClientMode
MONITOR: ClientMode
LOCKDOWN: ClientMode
STANDALONE: ClientMode
SYNC_TYPE_UNSPECIFIED: SyncType
NORMAL: SyncType
CLEAN: SyncType
CLEAN_ALL: SyncType
FILE_ACCESS_ACTION_UNSPECIFIED: FileAccessAction
NONE: FileAccessAction
AUDIT_ONLY: FileAccessAction
DISABLE: FileAccessAction
DECISION_UNKNOWN: Decision
ALLOW_UNKNOWN: Decision
ALLOW_BINARY: Decision
ALLOW_CERTIFICATE: Decision
ALLOW_SCOPE: Decision
ALLOW_TEAMID: Decision
ALLOW_SIGNINGID: Decision
ALLOW_CDHASH: Decision
BLOCK_UNKNOWN: Decision
BLOCK_BINARY: Decision
BLOCK_CERTIFICATE: Decision
BLOCK_SCOPE: Decision
BLOCK_TEAMID: Decision
BLOCK_SIGNINGID: Decision
BLOCK_CDHASH: Decision
BUNDLE_BINARY: Decision
ALLOW_CEL_FALLBACK: Decision
BLOCK_CEL_FALLBACK: Decision
BLOCK_BINARY_MISMATCH: Decision
ALLOW_PLATFORM: Decision
SIGNING_STATUS_UNSPECIFIED: SigningStatus
SIGNING_STATUS_UNSIGNED: SigningStatus
SIGNING_STATUS_INVALID: SigningStatus
SIGNING_STATUS_ADHOC: SigningStatus
SIGNING_STATUS_DEVELOPMENT: SigningStatus
SIGNING_STATUS_PRODUCTION: SigningStatus
FILE_ACCESS_DECISION_UNKNOWN: FileAccessDecision
FILE_ACCESS_DECISION_DENIED: FileAccessDecision
FILE_ACCESS_DECISION_DENIED_INVALID_SIGNATURE: FileAccessDecision
FILE_ACCESS_DECISION_AUDIT_ONLY: FileAccessDecision
POLICY_UNKNOWN: Policy
ALLOWLIST: Policy
ALLOWLIST_COMPILER: Policy
BLOCKLIST: Policy
SILENT_BLOCKLIST: Policy
REMOVE: Policy
CEL: Policy
SILENT_GUI_BLOCKLIST: Policy
SILENT_TTY_BLOCKLIST: Policy
RULETYPE_UNKNOWN: RuleType
BINARY: RuleType
CERTIFICATE: RuleType
TEAMID: RuleType
SIGNINGID: RuleType
CDHASH: RuleType

class PreflightRequest(_message.Message):
    __slots__ = ("serial_number", "hostname", "os_version", "os_build", "model_identifier", "santa_version", "primary_user", "client_mode", "request_clean_sync", "binary_rule_count", "certificate_rule_count", "compiler_rule_count", "transitive_rule_count", "teamid_rule_count", "signingid_rule_count", "cdhash_rule_count", "sip_status", "primary_user_groups", "rules_hash")
    SERIAL_NUMBER_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    OS_VERSION_FIELD_NUMBER: _ClassVar[int]
    OS_BUILD_FIELD_NUMBER: _ClassVar[int]
    MODEL_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    SANTA_VERSION_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_USER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_MODE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_CLEAN_SYNC_FIELD_NUMBER: _ClassVar[int]
    BINARY_RULE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_RULE_COUNT_FIELD_NUMBER: _ClassVar[int]
    COMPILER_RULE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRANSITIVE_RULE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TEAMID_RULE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIGNINGID_RULE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CDHASH_RULE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIP_STATUS_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_USER_GROUPS_FIELD_NUMBER: _ClassVar[int]
    RULES_HASH_FIELD_NUMBER: _ClassVar[int]
    serial_number: str
    hostname: str
    os_version: str
    os_build: str
    model_identifier: str
    santa_version: str
    primary_user: str
    client_mode: ClientMode
    request_clean_sync: bool
    binary_rule_count: int
    certificate_rule_count: int
    compiler_rule_count: int
    transitive_rule_count: int
    teamid_rule_count: int
    signingid_rule_count: int
    cdhash_rule_count: int
    sip_status: int
    primary_user_groups: _containers.RepeatedScalarFieldContainer[str]
    rules_hash: str
    def __init__(self, serial_number: _Optional[str] = ..., hostname: _Optional[str] = ..., os_version: _Optional[str] = ..., os_build: _Optional[str] = ..., model_identifier: _Optional[str] = ..., santa_version: _Optional[str] = ..., primary_user: _Optional[str] = ..., client_mode: _Optional[_Union[ClientMode, str]] = ..., request_clean_sync: _Optional[bool] = ..., binary_rule_count: _Optional[int] = ..., certificate_rule_count: _Optional[int] = ..., compiler_rule_count: _Optional[int] = ..., transitive_rule_count: _Optional[int] = ..., teamid_rule_count: _Optional[int] = ..., signingid_rule_count: _Optional[int] = ..., cdhash_rule_count: _Optional[int] = ..., sip_status: _Optional[int] = ..., primary_user_groups: _Optional[_Iterable[str]] = ..., rules_hash: _Optional[str] = ...) -> None: ...

class RemovableMediaPolicy(_message.Message):
    __slots__ = ("allow", "block", "remount")
    class Remount(_message.Message):
        __slots__ = ("flags",)
        FLAGS_FIELD_NUMBER: _ClassVar[int]
        flags: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, flags: _Optional[_Iterable[str]] = ...) -> None: ...
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    REMOUNT_FIELD_NUMBER: _ClassVar[int]
    allow: bool
    block: bool
    remount: RemovableMediaPolicy.Remount
    def __init__(self, allow: _Optional[bool] = ..., block: _Optional[bool] = ..., remount: _Optional[_Union[RemovableMediaPolicy.Remount, _Mapping]] = ...) -> None: ...

class PreflightResponse(_message.Message):
    __slots__ = ("client_mode", "sync_type", "batch_size", "enable_bundles", "enable_transitive_rules", "enable_all_event_upload", "disable_unknown_event_upload", "full_sync_interval", "push_notification_full_sync_interval", "push_notification_global_rule_sync_deadline", "allowed_path_regex", "blocked_path_regex", "block_usb_mount", "remount_usb_mode", "override_file_access_action", "event_detail_url", "event_detail_text", "removable_media_policy", "encrypted_removable_media_policy")
    CLIENT_MODE_FIELD_NUMBER: _ClassVar[int]
    SYNC_TYPE_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    ENABLE_BUNDLES_FIELD_NUMBER: _ClassVar[int]
    ENABLE_TRANSITIVE_RULES_FIELD_NUMBER: _ClassVar[int]
    ENABLE_ALL_EVENT_UPLOAD_FIELD_NUMBER: _ClassVar[int]
    DISABLE_UNKNOWN_EVENT_UPLOAD_FIELD_NUMBER: _ClassVar[int]
    FULL_SYNC_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    PUSH_NOTIFICATION_FULL_SYNC_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    PUSH_NOTIFICATION_GLOBAL_RULE_SYNC_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_PATH_REGEX_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_PATH_REGEX_FIELD_NUMBER: _ClassVar[int]
    BLOCK_USB_MOUNT_FIELD_NUMBER: _ClassVar[int]
    REMOUNT_USB_MODE_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_FILE_ACCESS_ACTION_FIELD_NUMBER: _ClassVar[int]
    EVENT_DETAIL_URL_FIELD_NUMBER: _ClassVar[int]
    EVENT_DETAIL_TEXT_FIELD_NUMBER: _ClassVar[int]
    REMOVABLE_MEDIA_POLICY_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_REMOVABLE_MEDIA_POLICY_FIELD_NUMBER: _ClassVar[int]
    client_mode: ClientMode
    sync_type: SyncType
    batch_size: int
    enable_bundles: bool
    enable_transitive_rules: bool
    enable_all_event_upload: bool
    disable_unknown_event_upload: bool
    full_sync_interval: int
    push_notification_full_sync_interval: int
    push_notification_global_rule_sync_deadline: int
    allowed_path_regex: str
    blocked_path_regex: str
    block_usb_mount: bool
    remount_usb_mode: _containers.RepeatedScalarFieldContainer[str]
    override_file_access_action: FileAccessAction
    event_detail_url: str
    event_detail_text: str
    removable_media_policy: RemovableMediaPolicy
    encrypted_removable_media_policy: RemovableMediaPolicy
    def __init__(self, client_mode: _Optional[_Union[ClientMode, str]] = ..., sync_type: _Optional[_Union[SyncType, str]] = ..., batch_size: _Optional[int] = ..., enable_bundles: _Optional[bool] = ..., enable_transitive_rules: _Optional[bool] = ..., enable_all_event_upload: _Optional[bool] = ..., disable_unknown_event_upload: _Optional[bool] = ..., full_sync_interval: _Optional[int] = ..., push_notification_full_sync_interval: _Optional[int] = ..., push_notification_global_rule_sync_deadline: _Optional[int] = ..., allowed_path_regex: _Optional[str] = ..., blocked_path_regex: _Optional[str] = ..., block_usb_mount: _Optional[bool] = ..., remount_usb_mode: _Optional[_Iterable[str]] = ..., override_file_access_action: _Optional[_Union[FileAccessAction, str]] = ..., event_detail_url: _Optional[str] = ..., event_detail_text: _Optional[str] = ..., removable_media_policy: _Optional[_Union[RemovableMediaPolicy, _Mapping]] = ..., encrypted_removable_media_policy: _Optional[_Union[RemovableMediaPolicy, _Mapping]] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("sha256", "cn", "org", "ou", "valid_from", "valid_until")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    CN_FIELD_NUMBER: _ClassVar[int]
    ORG_FIELD_NUMBER: _ClassVar[int]
    OU_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    cn: str
    org: str
    ou: str
    valid_from: int
    valid_until: int
    def __init__(self, sha256: _Optional[str] = ..., cn: _Optional[str] = ..., org: _Optional[str] = ..., ou: _Optional[str] = ..., valid_from: _Optional[int] = ..., valid_until: _Optional[int] = ...) -> None: ...

class Entitlement(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class EntitlementInfo(_message.Message):
    __slots__ = ("entitlements_filtered", "entitlements")
    ENTITLEMENTS_FILTERED_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENTS_FIELD_NUMBER: _ClassVar[int]
    entitlements_filtered: bool
    entitlements: _containers.RepeatedCompositeFieldContainer[Entitlement]
    def __init__(self, entitlements_filtered: _Optional[bool] = ..., entitlements: _Optional[_Iterable[_Union[Entitlement, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("file_sha256", "file_path", "file_name", "executing_user", "execution_time", "logged_in_users", "current_sessions", "decision", "file_bundle_id", "file_bundle_path", "file_bundle_executable_rel_path", "file_bundle_name", "file_bundle_version", "file_bundle_version_string", "file_bundle_hash", "file_bundle_hash_millis", "file_bundle_binary_count", "pid", "ppid", "parent_name", "team_id", "signing_id", "cdhash", "quarantine_data_url", "quarantine_referer_url", "quarantine_timestamp", "quarantine_agent_bundle_id", "signing_chain", "entitlement_info", "cs_flags", "signing_status", "secure_signing_time", "signing_time", "static_rule")
    FILE_SHA256_FIELD_NUMBER: _ClassVar[int]
    FILE_PATH_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    EXECUTING_USER_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIME_FIELD_NUMBER: _ClassVar[int]
    LOGGED_IN_USERS_FIELD_NUMBER: _ClassVar[int]
    CURRENT_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    FILE_BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    FILE_BUNDLE_PATH_FIELD_NUMBER: _ClassVar[int]
    FILE_BUNDLE_EXECUTABLE_REL_PATH_FIELD_NUMBER: _ClassVar[int]
    FILE_BUNDLE_NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    FILE_BUNDLE_VERSION_STRING_FIELD_NUMBER: _ClassVar[int]
    FILE_BUNDLE_HASH_FIELD_NUMBER: _ClassVar[int]
    FILE_BUNDLE_HASH_MILLIS_FIELD_NUMBER: _ClassVar[int]
    FILE_BUNDLE_BINARY_COUNT_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PPID_FIELD_NUMBER: _ClassVar[int]
    PARENT_NAME_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNING_ID_FIELD_NUMBER: _ClassVar[int]
    CDHASH_FIELD_NUMBER: _ClassVar[int]
    QUARANTINE_DATA_URL_FIELD_NUMBER: _ClassVar[int]
    QUARANTINE_REFERER_URL_FIELD_NUMBER: _ClassVar[int]
    QUARANTINE_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    QUARANTINE_AGENT_BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNING_CHAIN_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_INFO_FIELD_NUMBER: _ClassVar[int]
    CS_FLAGS_FIELD_NUMBER: _ClassVar[int]
    SIGNING_STATUS_FIELD_NUMBER: _ClassVar[int]
    SECURE_SIGNING_TIME_FIELD_NUMBER: _ClassVar[int]
    SIGNING_TIME_FIELD_NUMBER: _ClassVar[int]
    STATIC_RULE_FIELD_NUMBER: _ClassVar[int]
    file_sha256: str
    file_path: str
    file_name: str
    executing_user: str
    execution_time: float
    logged_in_users: _containers.RepeatedScalarFieldContainer[str]
    current_sessions: _containers.RepeatedScalarFieldContainer[str]
    decision: Decision
    file_bundle_id: str
    file_bundle_path: str
    file_bundle_executable_rel_path: str
    file_bundle_name: str
    file_bundle_version: str
    file_bundle_version_string: str
    file_bundle_hash: str
    file_bundle_hash_millis: int
    file_bundle_binary_count: int
    pid: int
    ppid: int
    parent_name: str
    team_id: str
    signing_id: str
    cdhash: str
    quarantine_data_url: str
    quarantine_referer_url: str
    quarantine_timestamp: int
    quarantine_agent_bundle_id: str
    signing_chain: _containers.RepeatedCompositeFieldContainer[Certificate]
    entitlement_info: EntitlementInfo
    cs_flags: int
    signing_status: SigningStatus
    secure_signing_time: int
    signing_time: int
    static_rule: bool
    def __init__(self, file_sha256: _Optional[str] = ..., file_path: _Optional[str] = ..., file_name: _Optional[str] = ..., executing_user: _Optional[str] = ..., execution_time: _Optional[float] = ..., logged_in_users: _Optional[_Iterable[str]] = ..., current_sessions: _Optional[_Iterable[str]] = ..., decision: _Optional[_Union[Decision, str]] = ..., file_bundle_id: _Optional[str] = ..., file_bundle_path: _Optional[str] = ..., file_bundle_executable_rel_path: _Optional[str] = ..., file_bundle_name: _Optional[str] = ..., file_bundle_version: _Optional[str] = ..., file_bundle_version_string: _Optional[str] = ..., file_bundle_hash: _Optional[str] = ..., file_bundle_hash_millis: _Optional[int] = ..., file_bundle_binary_count: _Optional[int] = ..., pid: _Optional[int] = ..., ppid: _Optional[int] = ..., parent_name: _Optional[str] = ..., team_id: _Optional[str] = ..., signing_id: _Optional[str] = ..., cdhash: _Optional[str] = ..., quarantine_data_url: _Optional[str] = ..., quarantine_referer_url: _Optional[str] = ..., quarantine_timestamp: _Optional[int] = ..., quarantine_agent_bundle_id: _Optional[str] = ..., signing_chain: _Optional[_Iterable[_Union[Certificate, _Mapping]]] = ..., entitlement_info: _Optional[_Union[EntitlementInfo, _Mapping]] = ..., cs_flags: _Optional[int] = ..., signing_status: _Optional[_Union[SigningStatus, str]] = ..., secure_signing_time: _Optional[int] = ..., signing_time: _Optional[int] = ..., static_rule: _Optional[bool] = ...) -> None: ...

class Process(_message.Message):
    __slots__ = ("file_path", "cdhash", "file_sha256", "signing_id", "team_id", "pid", "signing_chain")
    FILE_PATH_FIELD_NUMBER: _ClassVar[int]
    CDHASH_FIELD_NUMBER: _ClassVar[int]
    FILE_SHA256_FIELD_NUMBER: _ClassVar[int]
    SIGNING_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    SIGNING_CHAIN_FIELD_NUMBER: _ClassVar[int]
    file_path: str
    cdhash: str
    file_sha256: str
    signing_id: str
    team_id: str
    pid: int
    signing_chain: _containers.RepeatedCompositeFieldContainer[Certificate]
    def __init__(self, file_path: _Optional[str] = ..., cdhash: _Optional[str] = ..., file_sha256: _Optional[str] = ..., signing_id: _Optional[str] = ..., team_id: _Optional[str] = ..., pid: _Optional[int] = ..., signing_chain: _Optional[_Iterable[_Union[Certificate, _Mapping]]] = ...) -> None: ...

class FileAccessEvent(_message.Message):
    __slots__ = ("rule_version", "rule_name", "target", "process_chain", "access_time", "decision")
    RULE_VERSION_FIELD_NUMBER: _ClassVar[int]
    RULE_NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PROCESS_CHAIN_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TIME_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    rule_version: str
    rule_name: str
    target: str
    process_chain: _containers.RepeatedCompositeFieldContainer[Process]
    access_time: float
    decision: FileAccessDecision
    def __init__(self, rule_version: _Optional[str] = ..., rule_name: _Optional[str] = ..., target: _Optional[str] = ..., process_chain: _Optional[_Iterable[_Union[Process, _Mapping]]] = ..., access_time: _Optional[float] = ..., decision: _Optional[_Union[FileAccessDecision, str]] = ...) -> None: ...

class StandaloneModeRuleCreation(_message.Message):
    __slots__ = ("decision", "identifier", "timestamp")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    identifier: str
    timestamp: int
    def __init__(self, decision: _Optional[_Union[Decision, str]] = ..., identifier: _Optional[str] = ..., timestamp: _Optional[int] = ...) -> None: ...

class AuditEvent(_message.Message):
    __slots__ = ("standalone_mode_rule_creation",)
    STANDALONE_MODE_RULE_CREATION_FIELD_NUMBER: _ClassVar[int]
    standalone_mode_rule_creation: StandaloneModeRuleCreation
    def __init__(self, standalone_mode_rule_creation: _Optional[_Union[StandaloneModeRuleCreation, _Mapping]] = ...) -> None: ...

class EventUploadRequest(_message.Message):
    __slots__ = ("events", "machine_id", "audit_events", "file_access_events")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    MACHINE_ID_FIELD_NUMBER: _ClassVar[int]
    AUDIT_EVENTS_FIELD_NUMBER: _ClassVar[int]
    FILE_ACCESS_EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    machine_id: str
    audit_events: _containers.RepeatedCompositeFieldContainer[AuditEvent]
    file_access_events: _containers.RepeatedCompositeFieldContainer[FileAccessEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., machine_id: _Optional[str] = ..., audit_events: _Optional[_Iterable[_Union[AuditEvent, _Mapping]]] = ..., file_access_events: _Optional[_Iterable[_Union[FileAccessEvent, _Mapping]]] = ...) -> None: ...

class EventUploadResponse(_message.Message):
    __slots__ = ("event_upload_bundle_binaries",)
    EVENT_UPLOAD_BUNDLE_BINARIES_FIELD_NUMBER: _ClassVar[int]
    event_upload_bundle_binaries: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, event_upload_bundle_binaries: _Optional[_Iterable[str]] = ...) -> None: ...

class RuleDownloadRequest(_message.Message):
    __slots__ = ("cursor", "machine_id")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    MACHINE_ID_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    machine_id: str
    def __init__(self, cursor: _Optional[str] = ..., machine_id: _Optional[str] = ...) -> None: ...

class Rule(_message.Message):
    __slots__ = ("identifier", "policy", "rule_type", "custom_msg", "custom_url", "notification_app_name", "cel_expr", "event_detail_button_label")
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    RULE_TYPE_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_MSG_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_URL_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATION_APP_NAME_FIELD_NUMBER: _ClassVar[int]
    CEL_EXPR_FIELD_NUMBER: _ClassVar[int]
    EVENT_DETAIL_BUTTON_LABEL_FIELD_NUMBER: _ClassVar[int]
    identifier: str
    policy: Policy
    rule_type: RuleType
    custom_msg: str
    custom_url: str
    notification_app_name: str
    cel_expr: str
    event_detail_button_label: str
    def __init__(self, identifier: _Optional[str] = ..., policy: _Optional[_Union[Policy, str]] = ..., rule_type: _Optional[_Union[RuleType, str]] = ..., custom_msg: _Optional[str] = ..., custom_url: _Optional[str] = ..., notification_app_name: _Optional[str] = ..., cel_expr: _Optional[str] = ..., event_detail_button_label: _Optional[str] = ...) -> None: ...

class RuleDownloadResponse(_message.Message):
    __slots__ = ("rules", "cursor")
    RULES_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[Rule]
    cursor: str
    def __init__(self, rules: _Optional[_Iterable[_Union[Rule, _Mapping]]] = ..., cursor: _Optional[str] = ...) -> None: ...

class PostflightRequest(_message.Message):
    __slots__ = ("rules_received", "rules_processed", "machine_id", "sync_type", "rules_hash")
    RULES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    RULES_PROCESSED_FIELD_NUMBER: _ClassVar[int]
    MACHINE_ID_FIELD_NUMBER: _ClassVar[int]
    SYNC_TYPE_FIELD_NUMBER: _ClassVar[int]
    RULES_HASH_FIELD_NUMBER: _ClassVar[int]
    rules_received: int
    rules_processed: int
    machine_id: str
    sync_type: SyncType
    rules_hash: str
    def __init__(self, rules_received: _Optional[int] = ..., rules_processed: _Optional[int] = ..., machine_id: _Optional[str] = ..., sync_type: _Optional[_Union[SyncType, str]] = ..., rules_hash: _Optional[str] = ...) -> None: ...
