// Complete objects for tests, typed by the schema; a test sets only what it checks.
import type {
  Enrollment,
  EnrollmentSecret,
  ExecEvent,
  LoggedChange,
  Machine,
  MachineDetail,
  MachinePolicyThen,
  Program,
  RevertPlan,
  Rule,
  SyncSettings,
  Tag,
} from '../api/types.ts';

export const SHA256 = 'f6b0d2c5'.repeat(8);
export const CDHASH = 'dbe8c398'.repeat(5);

export function someEvent(part: Partial<ExecEvent> = {}): ExecEvent {
  return {
    id: 1,
    machine_id: 'M-1',
    hostname: 'lab-mac',
    occurred_at: '2026-11-23T12:00:00Z',
    received_at: '2026-11-23T12:00:01Z',
    decision: 'BLOCK_BINARY',
    blocked: true,
    file_name: 'tool',
    file_path: '/opt/tool',
    file_sha256: SHA256,
    executing_user: 'lena',
    parent_name: 'launchd',
    pid: 42,
    ppid: 1,
    team_id: '',
    signing_id: '',
    cdhash: '',
    bundle_name: '',
    bundle_id: '',
    certificate_sha256: '',
    publisher: '',
    signing_chain: [],
    ...part,
  };
}

export function someRule(part: Partial<Rule> = {}): Rule {
  return {
    id: 1,
    layer: 'global',
    rule_type: 'BINARY',
    identifier: SHA256,
    policy: 'BLOCKLIST',
    cel_expr: null,
    custom_msg: '',
    custom_url: '',
    comment: '',
    reason: '',
    locked: false,
    state: 'active',
    starts_at: null,
    expires_at: null,
    created_at: '2026-11-23T12:00:00Z',
    created_by: 'admin',
    seq: 1,
    machines_acked: 0,
    machines_total: 3,
    etag: '"rule-1"',
    ...part,
  };
}

export function someChange(part: Partial<LoggedChange> = {}): LoggedChange {
  return {
    seq: 57,
    at: '2026-11-23T12:00:00Z',
    actor_kind: 'user',
    actor_name: 'admin',
    kind: 'rule',
    reason: '',
    layer: 'global',
    rule_type: 'BINARY',
    identifier: SHA256,
    reverts: null,
    added: 0,
    changed: 0,
    removed: 0,
    settings: 0,
    revertible: true,
    why_not: '',
    ...part,
  };
}

export function somePlan(part: Partial<RevertPlan> = {}): RevertPlan {
  return {
    applied: false,
    reverts: 57,
    policy_seq: 60,
    added: 0,
    changed: 0,
    removed: 0,
    settings: 0,
    unchanged: 0,
    rule_steps: [],
    setting_steps: [],
    conflicts: [],
    conflicts_total: 0,
    refused: [],
    warnings: [],
    ...part,
  };
}

export function someMachine(part: Partial<Machine> = {}): Machine {
  return {
    machine_id: 'M-1',
    serial: 'C02XY',
    hostname: 'lab-mac',
    model: 'Mac14,7',
    os_version: '15.6',
    os_build: '24G84',
    santa_version: '2026.6',
    primary_user: 'lena',
    client_mode: 'MONITOR',
    sync_state: 'in_sync',
    tags: [],
    monitor_until: null,
    queued_clean: null,
    last_clean_at: null,
    last_preflight_at: '2026-11-23T12:00:00Z',
    last_postflight_at: '2026-11-23T12:00:00Z',
    enrolled_at: '2026-11-01T12:00:00Z',
    retired_at: null,
    released_at: null,
    refused_at: null,
    rule_counts: {
      binary: 1,
      certificate: 0,
      teamid: 0,
      signingid: 0,
      cdhash: 0,
      compiler: 0,
      transitive: 0,
    },
    last_sync: null,
    etag: '"machine-1"',
    ...part,
  };
}

export function someMachineDetail(part: Partial<MachineDetail> = {}): MachineDetail {
  return {
    ...someMachine(),
    client: { family: 'santa', name: 'Santa 2026.6', takes_all_rules: false },
    held_rules: null,
    notices: [],
    undelivered_rules: { items: [], total: 0 },
    undelivered_settings: [],
    counts_difference: null,
    serials: [],
    credential: {
      enrollment: null,
      certificate: null,
      previous_secret: null,
      refused_enrollment: null,
      history: [],
    },
    ...part,
  };
}

export function someSettings(part: Partial<SyncSettings> = {}): SyncSettings {
  return {
    client_mode: 'MONITOR',
    batch_size: 50,
    full_sync_interval: 600,
    push_notification_full_sync_interval: 14400,
    push_notification_global_rule_sync_deadline: 600,
    enable_bundles: true,
    enable_transitive_rules: false,
    enable_all_event_upload: false,
    disable_unknown_event_upload: false,
    allowed_path_regex: '',
    blocked_path_regex: '',
    removable_media_policy: { action: 'allow', flags: [] },
    encrypted_removable_media_policy: null,
    override_file_access_action: 'NONE',
    event_detail_url: '',
    event_detail_text: '',
    ...part,
  };
}

export function someTag(part: Partial<Tag> = {}): Tag {
  return {
    id: 1,
    name: 'finance',
    description: 'Macs of the finance team',
    predicate: null,
    groups: [],
    enrollments: [],
    layer: 'tag:finance',
    position: 1,
    members: 0,
    rules: 0,
    settings: 0,
    created_at: '2026-11-23T12:00:00Z',
    etag: '"tag-1"',
    ...part,
  };
}

export function someEnrollment(part: Partial<Enrollment> = {}): Enrollment {
  return {
    id: 3,
    label: 'Berlin',
    state: 'active',
    machines: 0,
    quota: null,
    serial_allowlist: null,
    tags: [],
    client_certificate: false,
    certificate_serial: false,
    reenroll_retired: false,
    expires_at: null,
    created_at: '2026-11-23T12:00:00Z',
    created_by: 'admin',
    revoked_at: null,
    secrets: [someSecret()],
    etag: '"1"',
    ...part,
  };
}

export function someSecret(part: Partial<EnrollmentSecret> = {}): EnrollmentSecret {
  return {
    id: 7,
    current: true,
    created_at: '2026-11-23T12:00:00Z',
    created_by: 'admin',
    valid_until: null,
    networks: [],
    machines: 0,
    refused: null,
    ...part,
  };
}

export function someProgram(part: Partial<Program> = {}): Program {
  return {
    id: 1,
    file_name: 'tool',
    file_path: '/opt',
    sha256: SHA256,
    cdhash: '',
    signing_id: '',
    certificate_sha256: '',
    team_id: '',
    publisher: '',
    bundle_id: '',
    bundle_name: '',
    bundle_version: '',
    bundle_hash: '',
    first_seen_at: '2026-11-23T12:00:00Z',
    last_seen_at: '2026-11-23T12:00:00Z',
    claims: [],
    certificate_claims: [],
    bundle_claims: [],
    blocked: 0,
    allowed: 0,
    ...part,
  };
}

export function somePolicyThen(part: Partial<MachinePolicyThen> = {}): MachinePolicyThen {
  const rule = {
    rule_id: 1,
    version_id: 1,
    rule_type: 'BINARY',
    identifier: SHA256,
    policy: 'BLOCKLIST',
    sent: 'BLOCKLIST',
    cel_expr: null,
    custom_msg: '',
    custom_url: '',
    layer: 'global',
    locked: false,
    comment: '',
    reason: 'an incident',
    seq: 5,
    in_force_since: '2026-11-23T11:00:00Z',
    written_at: '2026-11-23T11:00:00Z',
    written_by: 'admin',
    expires_at: null,
    delivery: 'removal_pending',
  } as const;
  const mode = {
    value: 'LOCKDOWN',
    layer: 'tag:finance',
    locked: false,
    seq: 6,
    changed_at: '2026-11-23T11:00:00Z',
    changed_by: 'admin',
    reason: '',
    confirmed: false,
  };
  return {
    machine_id: 'M-1',
    at: '2026-11-23T12:30:00Z',
    seq: 7,
    layers: ['global', 'tag:finance'],
    layers_since: '2026-11-23T10:00:00Z',
    client: 'santa',
    tags: [{ id: 1, name: 'finance', sources: ['group'], joined_at: '2026-11-23T10:00:00Z' }],
    monitor_mode: null,
    settings: { client_mode: mode },
    confirmed: { seq: 5, at: '2026-11-23T12:00:00Z', same_layers: true },
    confirmations_kept: true,
    rules: [rule],
    next_cursor: null,
    ...part,
  };
}
