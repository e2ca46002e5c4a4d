"""Events keyed by what never changes in a repetition, counted by hour and day; file accesses by day."""

from alembic import op

revision = "0020"
down_revision = "0010"
branch_labels = None
depends_on = None

EVENT = """
alter sequence event_id_seq owned by none;
alter table event rename to event_before;
alter table event_default rename to event_before_default;
drop index event_id, event_machine, event_decision, event_executable;
create table event (
  id bigint not null default nextval('event_id_seq'),
  occurred_at timestamptz not null,
  received_at timestamptz not null,
  machine_id bigint not null,
  executable_id bigint not null,
  pid integer not null,
  ppid integer not null,
  decision text collate "C" not null,
  blocked boolean not null generated always as (starts_with(decision, 'BLOCK')) stored,
  static_rule boolean not null,
  file_name text not null,
  file_path text not null,
  executing_user text not null,
  parent_name text not null,
  logged_in_users text[] not null,
  current_sessions text[] not null,
  quarantine jsonb,
  constraint event_key primary key (occurred_at, id),
  constraint event_once unique (machine_id, occurred_at, executable_id, pid, decision)
) partition by range (occurred_at);
comment on table event is 'No foreign keys: a new partition would lock machine and executable for its own.';
alter sequence event_id_seq owned by event.id;
create table event_default partition of event default;
create index event_id on event (id);
create index event_decision on event (decision, occurred_at desc, id desc);
create index event_blocked on event (occurred_at desc, id desc) where blocked;
create index event_executable on event (executable_id, occurred_at desc, id desc);
create index event_user on event (executing_user, occurred_at desc, id desc);
insert into event (id, occurred_at, received_at, machine_id, executable_id, pid, ppid, decision, static_rule,
    file_name, file_path, executing_user, parent_name, logged_in_users, current_sessions, quarantine)
  select id, occurred_at, received_at, machine_id, executable_id, coalesce(pid, 0), coalesce(ppid, 0),
    decision, static_rule, file_name, file_path, executing_user, parent_name, logged_in_users,
    current_sessions, quarantine
  from event_before on conflict do nothing;
drop table event_before;
"""

FILE_ACCESS = """
alter table file_access_event rename to file_access_event_before;
drop index file_access_event_machine;
create sequence file_access_id_seq;
create table file_access_event (
  id bigint not null default nextval('file_access_id_seq'),
  occurred_at timestamptz not null,
  received_at timestamptz not null,
  machine_id bigint not null,
  rule_name text not null,
  rule_version text not null,
  target text not null,
  decision text not null,
  process_chain jsonb not null,
  dedupe_key bytea not null check (octet_length(dedupe_key) = 16),
  constraint file_access_event_key primary key (occurred_at, id),
  constraint file_access_event_once unique (occurred_at, dedupe_key)
) partition by range (occurred_at);
alter sequence file_access_id_seq owned by file_access_event.id;
create table file_access_event_default partition of file_access_event default;
create index file_access_event_of_machine on file_access_event (machine_id, occurred_at desc, id desc);
insert into file_access_event (occurred_at, received_at, machine_id, rule_name, rule_version, target,
    decision, process_chain, dedupe_key)
  select occurred_at, received_at, machine_id, rule_name, rule_version, target, decision, process_chain,
    dedupe_key from file_access_event_before;
drop table file_access_event_before;
create table agent_audit_event (
  id bigint generated always as identity primary key,
  occurred_at timestamptz not null,
  received_at timestamptz not null,
  machine_id bigint not null references machine on delete cascade,
  kind text not null,
  detail jsonb not null,
  dedupe_key bytea not null unique check (octet_length(dedupe_key) = 16)
);
create index agent_audit_event_time on agent_audit_event (occurred_at desc, id desc);
"""

COUNTS = """
create table event_hour (
  hour timestamptz not null,
  decision text collate "C" not null,
  events bigint not null,
  primary key (hour, decision)
) with (fillfactor = 50);
create table program_day (
  day date not null,
  executable_id bigint not null,
  decision text collate "C" not null,
  events bigint not null,
  primary key (day, executable_id, decision)
) with (fillfactor = 70);
create index program_day_executable on program_day (executable_id, day);
insert into event_hour
  select date_trunc('hour', occurred_at, 'UTC'), decision, count(*) from event group by 1, 2;
insert into program_day
  select (occurred_at at time zone 'UTC')::date, executable_id, decision, count(*) from event
  group by 1, 2, 3;
alter table executable add column file_path text not null default '';
create index executable_signing_id on executable (signing_id) where signing_id <> '';
create index executable_team_id on executable (team_id) where team_id <> '';
create index executable_cdhash on executable (cdhash) where cdhash <> '';
create index executable_certificate on executable ((signing_chain[1]));
create index executable_last_seen on executable (last_seen_at desc, id desc);
"""

ENROLLMENT = """
alter table enrollment add column client_certificate boolean not null default false,
  add column created_by bigint references app_user on delete set null,
  add column revoked_by bigint references app_user on delete set null;
create index machine_enrollment on machine (enrollment_id);
alter table machine add column client_certificate bytea check (octet_length(client_certificate) = 32);
create table machine_serial (
  machine_id bigint not null references machine on delete cascade,
  serial text not null,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  primary key (machine_id, serial)
);
comment on table machine_serial is 'Serial numbers a machine id was used with; more than one is a conflict.';
insert into machine_serial select id, serial, enrolled_at, coalesce(last_preflight_at, enrolled_at)
  from machine where serial <> '';
"""


def upgrade() -> None:
    """Replace the event tables, keeping what is in them."""
    for part in (EVENT, FILE_ACCESS, COUNTS, ENROLLMENT):
        for statement in part.split(";\n"):
            if statement.strip():
                op.execute(statement)
