"""Layers for tags, users and machines; expiry and activation; the open sync beside the machine's state."""

from alembic import op

revision = "0010"
down_revision = "0001"
branch_labels = None
depends_on = None

HEAD = """
alter table policy_head
  add column settings_seq bigint not null default 0,
  add column layer_version bigint not null default 0,
  add column next_change_at timestamptz;
comment on column policy_head.settings_seq is 'the newest change of any setting';
comment on column policy_head.layer_version is 'grows with every change of who belongs to which layer';
comment on column policy_head.next_change_at is 'when the next activation or expiry is due';
update policy_head set settings_seq = seq;
"""

LAYERS = """
create table tag (
  id bigint generated always as identity primary key,
  name text not null constraint tag_name_form check (name ~ '^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$'),
  description text not null default '',
  predicate text constraint tag_predicate_not_empty check (predicate <> ''),
  groups text[] not null default '{}',
  created_at timestamptz not null,
  created_by bigint references app_user on delete set null,
  removed_at timestamptz
);
create unique index tag_live_name on tag (lower(name)) where removed_at is null;
create table tag_enrollment (
  tag_id bigint not null references tag,
  enrollment_id bigint not null references enrollment on delete cascade,
  primary key (tag_id, enrollment_id)
);
create table tag_member (
  id bigint generated always as identity primary key,
  tag_id bigint not null references tag,
  machine_id bigint not null references machine on delete cascade,
  source text not null check (source in ('manual', 'enrollment', 'group', 'predicate')),
  joined_at timestamptz not null,
  joined_by bigint references app_user on delete set null,
  left_at timestamptz,
  left_by bigint references app_user on delete set null
);
create unique index tag_member_live on tag_member (machine_id, tag_id, source) where left_at is null;
create index tag_member_tag on tag_member (tag_id, machine_id) where left_at is null;
create table tag_order_version (
  seq bigint primary key,
  tags bigint[] not null,
  opened_at timestamptz not null,
  opened_by bigint references app_user on delete set null
);
alter table layer
  add column tag_id bigint unique references tag,
  add column machine_id bigint unique references machine,
  add column used boolean not null default false,
  add column removed_at timestamptz,
  drop constraint layer_kind_name_key,
  add constraint layer_owner check ((kind = 'tag') = (tag_id is not null)
    and (kind = 'machine') = (machine_id is not null)),
  add constraint layer_rank_by_kind check (case kind
    when 'global' then rank = 0
    when 'tag' then rank between 1 and 999999
    when 'user' then rank = 1000000
    else rank = 1000001 end),
  add constraint layer_user_lower check (kind <> 'user' or name = lower(name)),
  add constraint layer_tag_order exclude using btree (rank with =)
    where (kind = 'tag' and removed_at is null) deferrable initially deferred;
comment on column layer.used is 'whether it ever held a rule or a setting; others are left out of signatures';
create unique index layer_user on layer (name) where kind = 'user';
update layer set used = true where kind = 'global';
"""

RULES = """
alter table rule_version
  drop constraint rule_policy_known,
  add constraint rule_policy_known check (policy in ('ALLOWLIST', 'ALLOWLIST_COMPILER', 'BLOCKLIST',
    'SILENT_BLOCKLIST', 'SILENT_GUI_BLOCKLIST', 'SILENT_TTY_BLOCKLIST', 'CEL', 'NONE')),
  add constraint rule_mask_needs_layer check (policy <> 'NONE' or layer_id <> 1),
  add column reason text not null default '',
  add column starts_at timestamptz,
  add column expires_at timestamptz,
  add column cancelled_at timestamptz,
  alter column opened_seq drop not null,
  add constraint rule_version_order check (starts_at < expires_at),
  add constraint rule_version_waits check (opened_seq is not null or starts_at is not null),
  add constraint rule_version_cancelled check (cancelled_at is null or opened_seq is null),
  add constraint rule_version_closed_opened check (closed_seq is null or opened_seq is not null);
drop index rule_version_open;
create unique index rule_version_live on rule_version (rule_id)
  where closed_seq is null and cancelled_at is null;
create index rule_version_starts on rule_version (starts_at)
  where opened_seq is null and cancelled_at is null;
create index rule_version_expires on rule_version (expires_at)
  where closed_seq is null and cancelled_at is null;
alter table setting_version add column locked boolean not null default false;
"""

MACHINES = """
alter table machine_sync
  drop constraint machine_sync_pending_session_fkey,
  add column pending_signature integer references policy_signature,
  add column pending_seq bigint,
  add column pending_kind text check (pending_kind in ('normal', 'clean', 'clean_all')),
  add column pending_hash text,
  add column pending_served boolean not null default false,
  add column pending_sent integer,
  add column recent_counts integer[] not null default '{}' check (cardinality(recent_counts) <= 8),
  add column signature integer references policy_signature,
  add column facts_key bytea check (octet_length(facts_key) = 16),
  add column last_preflight_at timestamptz,
  add column last_postflight_at timestamptz,
  add column last_clean_at timestamptz,
  add column monitor_until timestamptz;
create table monitor_window (
  id bigint generated always as identity primary key,
  machine_id bigint not null references machine on delete cascade,
  starts_at timestamptz not null,
  ends_at timestamptz not null check (ends_at > starts_at),
  reason text not null check (reason <> ''),
  opened_by bigint references app_user on delete set null,
  ended_at timestamptz,
  ended_by bigint references app_user on delete set null
);
create index sync_session_started on sync_session using brin (started_at);
create index monitor_window_machine on monitor_window (machine_id, starts_at desc);
update machine_sync y set last_preflight_at = m.last_preflight_at,
  last_postflight_at = m.last_postflight_at, pending_session = null
from machine m where m.id = y.machine_id;
"""


def upgrade() -> None:
    """Expand: a release that knows nothing of layers keeps working on the global one."""
    for part in (HEAD, LAYERS, RULES, MACHINES):
        for statement in part.split(";\n"):
            if statement.strip():
                op.execute(statement)
