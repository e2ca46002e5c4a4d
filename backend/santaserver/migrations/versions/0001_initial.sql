-- Users and the audit log, the policy log, machines and their syncs, events by day.
--
-- The primary key of what belongs to a machine begins with the machine, so that such tables can be
-- distributed by it.

-- Users

create table app_user (
  id bigint generated always as identity primary key,
  username text not null check (username = lower(username) and username <> ''),
  name_key text not null unique check (name_key <> ''),
  display_name text not null,
  kind text not null default 'person' check (kind in ('person', 'service')),
  password_hash text,
  created_at timestamptz not null default now(),
  disabled_at timestamptz,
  deprovisioned_at timestamptz,
  enabled boolean not null generated always as (disabled_at is null and deprovisioned_at is null) stored,
  unique (username),
  check (kind = 'person' or password_hash is null)
);
comment on column app_user.kind is 'A service account has no password and no sessions: programs use its tokens.';
comment on column app_user.name_key is 'What names that look alike have in common (names.py).';
comment on column app_user.deprovisioned_at is 'When SCIM said that the person is not active; disabled_at is what people here say.';
comment on column app_user.enabled is 'Who is not has no sessions and no tokens, and cannot log in.';

create table user_session (
  id_hash bytea primary key check (octet_length(id_hash) = 32),
  user_id bigint not null references app_user on delete cascade,
  created_at timestamptz not null,
  last_seen_at timestamptz not null,
  expires_at timestamptz not null,
  id bigint generated always as identity unique,
  address text not null default '',
  user_agent text not null default '',
  authenticated_at timestamptz not null,
  previous_hash bytea unique check (octet_length(previous_hash) = 32),
  previous_until timestamptz check ((previous_until is null) = (previous_hash is null)),
  renew boolean not null default false,
  issuer text,
  subject text check ((subject is null) = (issuer is null)),
  provider_sid text,
  logout_hint text,
  notice text not null default ''
);
comment on column user_session.authenticated_at is 'When the user last proved who it is: at the login, or since.';
comment on column user_session.previous_hash is 'The id before the last renewal, for requests that were under way.';
comment on column user_session.renew is 'Whether the next request gets a new id, since what the user may do has changed.';
comment on column user_session.issuer is 'The identity provider whose session this one belongs to; null for a local account';
create index user_session_provider on user_session (issuer, provider_sid) where issuer is not null;
create index user_session_user on user_session (user_id);
create index user_session_expiry on user_session (expires_at);

-- Whatever ends a session is told to all workers.
create function santaserver_session_changed() returns trigger language plpgsql as $$
begin
  perform pg_notify('santaserver_session', '');
  return null;
end $$;
create trigger session_ended after delete on user_session
  for each row execute function santaserver_session_changed();
create trigger session_shortened after update of expires_at on user_session
  for each row when (new.expires_at < old.expires_at) execute function santaserver_session_changed();
create trigger session_renewed after update of id_hash, authenticated_at, renew on user_session
  for each row execute function santaserver_session_changed();
create trigger session_user_changed
  after delete or update of username, display_name, password_hash, disabled_at, deprovisioned_at on app_user
  for each row execute function santaserver_session_changed();

create table setup_link (
  secret_hash bytea primary key check (octet_length(secret_hash) = 32),
  user_id bigint references app_user on delete cascade,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  unique nulls not distinct (user_id)
);
comment on table setup_link is
  'Links with which a user sets the password, once; without a user it makes the first administrator.';

create table api_token (
  id bigint generated always as identity primary key,
  user_id bigint not null references app_user on delete cascade,
  name text not null check (name <> ''),
  hint text not null,
  secret_hash bytea not null unique check (octet_length(secret_hash) = 32),
  previous_hash bytea unique check (octet_length(previous_hash) = 32),
  previous_until timestamptz check ((previous_until is null) = (previous_hash is null)),
  previous_used_at timestamptz,
  permissions text[] not null check (cardinality(permissions) > 0),
  tag_ids bigint[] check (cardinality(tag_ids) > 0),
  networks text[] not null default '{}',
  created_at timestamptz not null,
  created_by bigint references app_user on delete set null,
  rotated_at timestamptz,
  expires_at timestamptz not null check (expires_at > created_at),
  revoked_at timestamptz,
  last_used_at timestamptz,
  last_address text not null default ''
);
comment on column api_token.hint is 'The beginning of the token, which tells it from others; the rest is only stored as a hash.';
comment on column api_token.previous_hash is 'The secret before the last rotation, valid until previous_until.';
comment on column api_token.tag_ids is 'Limits it to what has one of these tags; null: as far as its owner reaches.';
create unique index api_token_name on api_token (user_id, lower(name)) where revoked_at is null;
create index api_token_user on api_token (user_id, id);
create trigger session_token_changed
  after delete or update of secret_hash, previous_hash, previous_until, expires_at, revoked_at on api_token
  for each row execute function santaserver_session_changed();

-- With which a directory provisions people and groups by SCIM; nothing else can be done with them.
create table scim_token (
  id bigint generated always as identity primary key,
  name text not null check (name <> ''),
  hint text not null,
  secret_hash bytea not null unique check (octet_length(secret_hash) = 32),
  previous_hash bytea unique check (octet_length(previous_hash) = 32),
  previous_until timestamptz check ((previous_until is null) = (previous_hash is null)),
  previous_used_at timestamptz,
  networks text[] not null default '{}',
  created_at timestamptz not null,
  created_by bigint references app_user on delete set null,
  rotated_at timestamptz,
  expires_at timestamptz not null check (expires_at > created_at),
  revoked_at timestamptz,
  last_used_at timestamptz,
  last_address text not null default ''
);
comment on column scim_token.hint is 'The beginning of the token, which tells it from others; the rest is only stored as a hash.';
comment on column scim_token.previous_hash is 'The secret before the last rotation, valid until previous_until.';
create unique index scim_token_name on scim_token (lower(name)) where revoked_at is null;

-- People who sign in through an identity provider. What never changes identifies them, names are only shown.
create table user_identity (
  user_id bigint primary key references app_user on delete cascade,
  authority text not null,
  subject text not null,
  claimed_name text not null,
  signed_in_at timestamptz not null,
  unique (authority, subject)
);
comment on column user_identity.authority is 'entra:TENANT, with the object id as subject; else an issuer';

-- People whom SCIM has told of. Many of them never sign in.
create table scim_user (
  user_id bigint primary key references app_user on delete cascade,
  scim_id uuid not null unique default gen_random_uuid(),
  user_name text check (user_name <> ''),
  user_name_key text unique check (user_name_key <> ''),
  external_id text unique check (external_id <> ''),
  emails text[] not null default '{}',
  attributes jsonb not null default '{}' check (jsonb_typeof(attributes) = 'object'),
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  removed_at timestamptz,
  check (num_nonnulls(user_name, user_name_key) = case when removed_at is null then 2 else 0 end)
);
create index scim_user_subject on scim_user (lower(external_id));
create index scim_user_emails on scim_user using gin (emails);
comment on column scim_user.scim_id is 'What SCIM calls the person here.';
comment on column scim_user.user_name_key is 'What user names that look alike have in common (names.py).';
comment on column scim_user.emails is 'The addresses without case, to find people by.';
comment on column scim_user.removed_at is
  'When SCIM deleted the person: the account stays, withdrawn, so that a login at the provider makes no new one.';
comment on column scim_user.external_id is
  'What the provider calls the person; the subject of user_identity for the same person. Never an e-mail address.';
comment on column scim_user.attributes is 'What else SCIM has sent and is shown again: names, e-mail addresses.';

-- Sign-ins that were begun: each is finished once, by the browser that began it.
create table sign_in (
  state_hash bytea primary key check (octet_length(state_hash) = 32),
  browser_hash bytea not null check (octet_length(browser_hash) = 32),
  nonce text not null,
  verifier text not null,
  return_path text not null,
  network text not null,
  created_at timestamptz not null
);
create index sign_in_network on sign_in (network);
create index sign_in_age on sign_in (created_at);

-- Logout tokens of the provider that were used, until they are invalid anyway.
create table logout_token (
  jti_hash bytea primary key check (octet_length(jti_hash) = 32),
  expires_at timestamptz not null
);
create index logout_token_age on logout_token (expires_at);

-- Second factors of local accounts.
create table totp_secret (
  user_id bigint primary key references app_user on delete cascade,
  sealed bytea not null,
  last_step bigint not null,
  created_at timestamptz not null
);
comment on column totp_secret.sealed is 'Encrypted with a key that is derived from SECRET_KEY.';
comment on column totp_secret.last_step is 'Time step of the last code that was accepted; each one is accepted once.';

create table totp_enrollment (
  user_id bigint primary key references app_user on delete cascade,
  sealed bytea not null,
  created_at timestamptz not null
);
comment on table totp_enrollment is 'Authenticator apps that have not shown a code yet; they do not count.';

create table recovery_code (
  code_hash bytea primary key check (octet_length(code_hash) = 32),
  user_id bigint not null references app_user on delete cascade,
  created_at timestamptz not null
);
create index recovery_code_user on recovery_code (user_id);

create table passkey (
  id bigint generated always as identity primary key,
  user_id bigint not null references app_user on delete cascade,
  credential_id bytea not null unique,
  credential bytea not null,
  user_handle bytea not null check (octet_length(user_handle) = 32),
  rp_id text not null,
  sign_count bigint not null,
  name text not null check (name <> ''),
  created_at timestamptz not null,
  last_used_at timestamptz
);
comment on column passkey.credential is 'Attested credential data of WebAuthn: model, credential id and public key.';
comment on column passkey.rp_id is 'The host name that it was made for; it works at no other.';
create index passkey_user on passkey (user_id);

create table pending_login (
  id_hash bytea primary key check (octet_length(id_hash) = 32),
  user_id bigint not null references app_user on delete cascade,
  password_digest bytea not null check (octet_length(password_digest) = 32),
  failures integer not null default 0,
  created_at timestamptz not null
);
comment on table pending_login is 'Logins whose password was right and whose second factor is awaited.';
create index pending_login_user on pending_login (user_id);
create index pending_login_age on pending_login (created_at);

create table passkey_challenge (
  challenge_hash bytea primary key check (octet_length(challenge_hash) = 32),
  browser_hash bytea not null check (octet_length(browser_hash) = 32),
  purpose text not null check (purpose in ('sign_in', 'register', 'reauthenticate')),
  user_id bigint references app_user on delete cascade,
  user_handle bytea check (octet_length(user_handle) = 32),
  network text not null,
  created_at timestamptz not null,
  check ((user_id is null) = (purpose = 'sign_in')),
  check ((user_handle is null) = (purpose <> 'register'))
);
comment on column passkey_challenge.user_handle is 'What the new passkey knows the account by.';
comment on table passkey_challenge is 'What passkeys have to sign: once, and in the browser that asked for it.';
create index passkey_challenge_network on passkey_challenge (network);
create index passkey_challenge_user on passkey_challenge (user_id);
create index passkey_challenge_age on passkey_challenge (created_at);

create table login_failure (
  key text primary key,
  failures integer not null check (failures > 0),
  last_failure_at timestamptz not null
);
create index login_failure_age on login_failure (last_failure_at);

-- The audit log: one Merkle tree (RFC 6962, 2.1). A leaf is the exact text of an entry; what may have to be erased
-- one day, such as names, is apart, and the leaf holds its salted hash. Only audit_append writes it.

create table audit_head (
  only_row boolean primary key default true check (only_row),
  size bigint not null check (size >= 0),
  edge bytea[] not null
);
comment on table audit_head is
  'The roots of the complete subtrees, the largest first: all that is needed to append. A single row.';
insert into audit_head (size, edge) values (0, '{}');

create table audit_leaf (
  seq bigint primary key check (seq >= 0),
  entry text not null,
  root bytea not null check (octet_length(root) = 32),
  body jsonb not null generated always as (entry::jsonb) stored
);
comment on column audit_leaf.root is 'Of the tree whose last leaf this is.';
create index audit_leaf_at on audit_leaf ((body ->> 'at') collate "C");
create index audit_leaf_action on audit_leaf ((body ->> 'action'), seq);
create index audit_leaf_object on audit_leaf ((body #>> '{object,type}'), (body #>> '{object,id}'), seq);

create table audit_detail (
  seq bigint primary key references audit_leaf,
  salt bytea not null check (octet_length(salt) = 16),
  details text not null,
  body jsonb not null generated always as (details::jsonb) stored
);
create index audit_detail_actor on audit_detail ((body ->> 'actor'), seq);

create table audit_checkpoint (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  size bigint not null check (size >= 0),
  root bytea not null check (octet_length(root) = 32),
  note text not null
);

-- Appends entries and returns the position of the last one. It has to be the last statement of its transaction:
-- the head stays locked until the commit.
create function audit_append(entries text[], salts bytea[], details text[]) returns bigint
language plpgsql security definer as $$
declare
  n bigint;
  peaks bytea[];
  node bytea;
  rest bigint;
begin
  select h.size, h.edge into strict n, peaks from audit_head h for update;
  for k in 1 .. cardinality(entries) loop
    node := sha256('\x00'::bytea || convert_to(entries[k], 'UTF8'));
    rest := n;
    while rest & 1 = 1 loop
      node := sha256('\x01'::bytea || peaks[cardinality(peaks)] || node);
      peaks := trim_array(peaks, 1);
      rest := rest >> 1;
    end loop;
    peaks := array_append(peaks, node);
    for i in reverse cardinality(peaks) - 1 .. 1 loop
      node := sha256('\x01'::bytea || peaks[i] || node);
    end loop;
    insert into audit_leaf (seq, entry, root) values (n, entries[k], node);
    insert into audit_detail (seq, salt, details) values (n, salts[k], audit_append.details[k]);
    n := n + 1;
  end loop;
  update audit_head set size = n, edge = peaks;
  return n - 1;
end $$;

create function audit_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'entries of the audit log are neither changed nor removed';
end $$;
create trigger append_only before update or delete or truncate on audit_leaf
  for each statement execute function audit_is_append_only();
create trigger append_only before update or truncate on audit_detail
  for each statement execute function audit_is_append_only();

create view audit_log as
select l.seq as id, (l.body ->> 'at')::timestamptz as at, l.body #>> '{actor,kind}' as actor_kind,
  (l.body #>> '{actor,id}')::bigint as actor_id, d.body ->> 'actor' as actor_name, l.body ->> 'action' as action,
  l.body #>> '{object,type}' as object_type, l.body #>> '{object,id}' as object_id,
  (l.body ->> 'policy_seq')::bigint as policy_seq, l.body ->> 'request_id' as request_id,
  d.body ->> 'address' as address, d.body ->> 'reason' as reason,
  d.body -> 'before' as before, d.body -> 'after' as after, d.seq is null as erased
from audit_leaf l left join audit_detail d using (seq);
comment on view audit_log is 'The entries with their details, for people and queries.';

create table blocked_contact (
  only_row boolean primary key default true check (only_row),
  text text not null default '',
  url text not null default ''
);
comment on table blocked_contact is 'Whom the public page about blocked programs names. A single row.';
insert into blocked_contact default values;

-- Machines: which there are

create table enrollment (
  id bigint generated always as identity primary key,
  label text not null,
  quota integer check (quota > 0),
  serial_allowlist text[],
  expires_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null,
  client_certificate boolean not null default false,
  certificate_serial boolean not null default false,
  reenroll_retired boolean not null default false,
  created_by bigint references app_user on delete set null,
  revoked_by bigint references app_user on delete set null
);
comment on column enrollment.certificate_serial is
  'whether the subject of the client certificate has to contain the serial number of the Mac';
comment on column enrollment.reenroll_retired is 'whether a retired Mac that syncs with it joins the fleet again';

create table enrollment_secret (
  id bigint generated always as identity primary key,
  enrollment_id bigint not null references enrollment on delete cascade,
  secret_hash bytea not null unique check (octet_length(secret_hash) = 32),
  networks text[] not null default '{}',
  created_at timestamptz not null,
  created_by bigint references app_user on delete set null,
  valid_until timestamptz,
  refused bigint not null default 0,
  refused_at timestamptz,
  refused_reason text,
  refused_address text
);
comment on column enrollment_secret.networks is 'from where it is accepted; empty: from anywhere';
comment on column enrollment_secret.valid_until is 'of a previous secret; null: the present one';
comment on column enrollment_secret.refused is 'requests that were refused although they showed it';
create unique index enrollment_secret_current on enrollment_secret (enrollment_id) where valid_until is null;
create index enrollment_secret_of on enrollment_secret (enrollment_id);

create table machine (
  id bigint generated always as identity primary key,
  machine_id text not null unique check (machine_id <> '' and length(machine_id) <= 1000),
  serial text not null default '',
  hostname text not null default '',
  model text not null default '',
  os_version text not null default '',
  os_build text not null default '',
  santa_version text not null default '',
  primary_user text not null default '',
  primary_user_groups text[] not null default '{}',
  client_mode text not null default '',
  sip_status bigint not null default 0,
  rules_hash text not null default '',
  binary_rules bigint not null default 0,
  certificate_rules bigint not null default 0,
  teamid_rules bigint not null default 0,
  signingid_rules bigint not null default 0,
  cdhash_rules bigint not null default 0,
  compiler_rules bigint not null default 0,
  transitive_rules bigint not null default 0,
  enrollment_id bigint references enrollment on delete set null,
  enrolled_at timestamptz not null,
  identity_conflict_at timestamptz,
  client_certificate bytea check (octet_length(client_certificate) = 32),
  released_at timestamptz,
  refused_at timestamptz,
  refused_enrollment_id bigint references enrollment on delete set null,
  refused_reason text,
  refused_address text,
  secret_id bigint references enrollment_secret on delete set null,
  retired_at timestamptz,
  deleted_at timestamptz check (deleted_at is null or retired_at is not null)
) with (fillfactor = 70);
comment on column machine.client_certificate is 'SHA-256 of the certificate; with enrollment_id the credential that the Mac is bound to';
comment on column machine.released_at is 'since when its next preflight may bring another credential';
comment on column machine.refused_at is 'when a request with its id was last refused';
comment on column machine.refused_reason is 'why its secret was refused; null: it showed another credential';
comment on column machine.secret_id is 'the secret that its last preflight showed';
comment on column machine.retired_at is 'since when it is no part of the fleet: it has no row in machine_sync';
comment on column machine.deleted_at is 'since when it is not shown either; its row names it in events';
create index machine_hostname on machine (hostname, id);
create index machine_enrollment on machine (enrollment_id);
create index machine_secret on machine (secret_id);
create index machine_retired on machine (hostname, id) where retired_at is not null;
create index machine_mode on machine (client_mode) where retired_at is null;
create index machine_conflict on machine (identity_conflict_at) where identity_conflict_at is not null;

create table machine_serial (
  machine_id bigint not null references machine on delete cascade,
  serial text not null,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  primary key (machine_id, serial)
);
comment on table machine_serial is 'Serial numbers a machine id was used with; more than one is a conflict.';

create table monitor_window (
  id bigint generated always as identity,
  machine_id bigint not null references machine on delete cascade,
  starts_at timestamptz not null,
  ends_at timestamptz not null check (ends_at > starts_at),
  reason text not null check (reason <> ''),
  opened_by bigint references app_user on delete set null,
  ended_at timestamptz,
  ended_by bigint references app_user on delete set null,
  primary key (machine_id, id)
);
create index monitor_window_machine on monitor_window (machine_id, starts_at desc);

-- The policy log

create table policy_head (
  only_row boolean primary key default true check (only_row),
  seq bigint not null check (seq >= 0),
  settings_seq bigint not null default 0,
  layer_version bigint not null default 0,
  content_seq bigint not null default 0,
  next_change_at timestamptz
);
comment on table policy_head is 'Updating this row numbers a policy change; its lock orders the commits.';
comment on column policy_head.settings_seq is 'the newest change of any setting';
comment on column policy_head.layer_version is 'grows with every change of who belongs to which layer';
comment on column policy_head.content_seq is
  'the newest change of anything but memberships: states from it on differ by their layers only';
comment on column policy_head.next_change_at is 'when the next activation or expiry is due';
insert into policy_head (seq) values (0);

create table policy_change (
  seq bigint primary key check (seq > 0),
  at timestamptz not null,
  actor_kind text not null
    check (actor_kind in ('user', 'token', 'schedule', 'command_line', 'enrollment')),
  actor_id bigint references app_user on delete set null,
  actor_name text not null,
  kind text not null check (kind <> ''),
  reason text not null,
  request_id text not null,
  summary jsonb not null check (jsonb_typeof(summary) = 'object'),
  latest_at timestamptz not null check (latest_at >= at)
);
create index policy_change_latest on policy_change (latest_at, seq);
create index policy_change_out_of_order on policy_change (seq, at) where at < latest_at;
comment on table policy_change is 'One row for each number of policy_head; older numbers have none.';
comment on column policy_change.at is 'when it was asked for; a clock that is set back makes a later number earlier';
comment on column policy_change.latest_at is 'the latest time of any number up to this one: finds the number of a moment';

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
create trigger session_tag_changed after update of name, removed_at on tag
  for each statement execute function santaserver_session_changed();

-- Groups of users. Those of claims and app roles have the members that sign-ins told of, those of SCIM the ones it sent.
create table user_group (
  id bigint generated always as identity primary key,
  source text not null check (source in ('local', 'claim', 'app_role', 'scim')),
  external_id text check (external_id <> ''),
  name text not null check (name <> ''),
  name_key text not null check (name_key <> ''),
  description text not null default '',
  created_at timestamptz not null,
  created_by bigint references app_user on delete set null,
  updated_at timestamptz not null,
  unique (source, external_id),
  unique (source, name_key),
  check (case source when 'local' then external_id is null when 'scim' then true else external_id is not null end)
);
comment on column user_group.external_id is
  'What a token calls it (a group id, or the value of an app role), or the externalId of SCIM.';

create table user_group_member (
  group_id bigint not null references user_group on delete cascade,
  user_id bigint not null references app_user on delete cascade,
  added_at timestamptz not null,
  primary key (group_id, user_id)
);
create index user_group_member_user on user_group_member (user_id);
create trigger session_group_member_changed after insert or delete or update on user_group_member
  for each statement execute function santaserver_session_changed();

-- Groups whom SCIM has told of: those of user_group with this source.
create table scim_group (
  group_id bigint primary key references user_group on delete cascade,
  scim_id uuid not null unique default gen_random_uuid(),
  version bigint not null default 1
);
comment on column scim_group.scim_id is 'What SCIM calls the group here.';

-- Roles made here. Those that come with the program are in permissions.py.
create table custom_role (
  id bigint generated always as identity primary key,
  name text not null check (name ~ '^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$'),
  description text not null default '',
  permissions text[] not null check (cardinality(permissions) > 0),
  created_at timestamptz not null,
  created_by bigint references app_user on delete set null,
  updated_at timestamptz not null
);
create unique index custom_role_name on custom_role (lower(name));
comment on column custom_role.permissions is 'One that this version does not know grants nothing.';
create trigger session_custom_role_changed after update on custom_role
  for each statement execute function santaserver_session_changed();

create table binding (
  id bigint generated always as identity primary key,
  user_id bigint references app_user on delete cascade,
  group_id bigint references user_group on delete cascade,
  role text check (role <> ''),
  custom_role_id bigint references custom_role on delete restrict,
  tag_id bigint references tag on delete cascade,
  created_at timestamptz not null,
  created_by bigint references app_user on delete set null,
  from_provider boolean not null default false,
  check (num_nonnulls(user_id, group_id) = 1),
  check (num_nonnulls(role, custom_role_id) = 1),
  check (not from_provider or user_id is not null),
  unique nulls not distinct (user_id, group_id, role, custom_role_id, tag_id)
);
comment on table binding is
  'The roles of users and groups; tag_id limits one to what has this tag. An unknown role grants nothing.';
comment on column binding.role is 'One of permissions.py.';
comment on column binding.from_provider is 'Whether the identity provider gives it, and takes it, at each sign-in';
create index binding_group on binding (group_id) where group_id is not null;
create index binding_custom_role on binding (custom_role_id) where custom_role_id is not null;
create index binding_tag on binding (tag_id) where tag_id is not null;
create trigger session_binding_changed after insert or delete or update on binding
  for each statement execute function santaserver_session_changed();

create view user_binding as
select b.user_id, b.id, b.role, b.custom_role_id, b.tag_id, b.from_provider, null::bigint as group_id
from binding b where b.user_id is not null
union all
select m.user_id, b.id, b.role, b.custom_role_id, b.tag_id, false, b.group_id
from user_group_member m join binding b on b.group_id = m.group_id;
comment on view user_binding is 'All roles of users: their own, and those of their groups.';

create table tag_version (
  id bigint generated always as identity primary key,
  tag_id bigint not null references tag,
  name text not null,
  description text not null,
  predicate text,
  groups text[] not null,
  enrollments bigint[] not null,
  opened_seq bigint not null,
  closed_seq bigint check (closed_seq > opened_seq)
);
create unique index tag_version_live on tag_version (tag_id) where closed_seq is null;
create index tag_version_opened on tag_version (tag_id, opened_seq);
comment on table tag_version is 'What a tag was and who its members were to be; policy_change says who changed it, when and why.';

create table tag_enrollment (
  tag_id bigint not null references tag,
  enrollment_id bigint not null references enrollment on delete cascade,
  primary key (tag_id, enrollment_id)
);

create table tag_member (
  id bigint generated always as identity,
  tag_id bigint not null references tag,
  machine_id bigint not null references machine on delete cascade,
  source text not null check (source in ('manual', 'enrollment', 'group', 'predicate')),
  joined_at timestamptz not null,
  joined_by bigint references app_user on delete set null,
  joined_reason text not null default '',
  left_at timestamptz,
  left_by bigint references app_user on delete set null,
  left_reason text not null default '',
  joined_seq bigint not null,
  left_seq bigint check (left_seq >= joined_seq),
  primary key (machine_id, id),
  constraint tag_member_left_whole check ((left_at is null) = (left_seq is null))
);
comment on column tag_member.joined_seq is
  'the number of the change; of what follows from a report, the newest number at that time';
create unique index tag_member_live on tag_member (machine_id, tag_id, source) where left_at is null;
create index tag_member_tag on tag_member (tag_id, machine_id) where left_at is null;
create index tag_member_left on tag_member (left_at) where left_at is not null;

create table tag_order_version (
  seq bigint primary key,
  tags bigint[] not null,
  opened_at timestamptz not null,
  opened_by bigint references app_user on delete set null
);

create table layer (
  id bigint generated by default as identity primary key,
  kind text not null check (kind in ('global', 'tag', 'user', 'machine')),
  name text not null,
  rank integer not null,
  created_at timestamptz not null default now(),
  tag_id bigint unique references tag,
  machine_id bigint unique,
  used boolean not null default false,
  removed_at timestamptz,
  constraint layer_owner check (
    (kind = 'tag') = (tag_id is not null) and (kind = 'machine') = (machine_id is not null)),
  constraint layer_rank_by_kind check (case kind
    when 'global' then rank = 0
    when 'tag' then rank between 1 and 999999
    when 'user' then rank = 1000000
    else rank = 1000001 end),
  constraint layer_user_lower check (kind <> 'user' or name = lower(name)),
  constraint layer_tag_order exclude using btree (rank with =)
    where (kind = 'tag' and removed_at is null) deferrable initially deferred
);
comment on column layer.used is 'whether it ever held a rule or a setting; others are left out of signatures';
comment on column layer.machine_id is 'no foreign key: layers are shared by all, machines may lie elsewhere';
create unique index layer_one_global on layer (kind) where kind = 'global';
create unique index layer_user on layer (name) where kind = 'user';
insert into layer (id, kind, name, rank, used) values (1, 'global', 'global', 0, true);
select setval(pg_get_serial_sequence('layer', 'id'), 1);

create table policy_signature (
  id integer generated always as identity primary key,
  layers bigint[] not null,
  capabilities integer not null
);
-- A machine with hundreds of tags has more layers than a key of an index can hold.
create unique index policy_signature_content on policy_signature
  (hash_array_extended(layers, 0), hash_array_extended(layers, 1), capabilities);

create table rule (
  id bigint generated always as identity primary key,
  layer_id bigint not null references layer,
  rule_type text collate "C" not null constraint rule_type_known check (
    rule_type in ('BINARY', 'CERTIFICATE', 'TEAMID', 'SIGNINGID', 'CDHASH')),
  identifier text collate "C" not null,
  created_at timestamptz not null,
  created_by bigint references app_user on delete set null,
  removed_at timestamptz,
  unique (id, layer_id, rule_type, identifier),
  constraint rule_identifier_format check (case rule_type
    when 'BINARY' then identifier ~ '^[0-9a-f]{64}$'
    when 'CERTIFICATE' then identifier ~ '^[0-9a-f]{64}$'
    when 'TEAMID' then identifier ~ '^[A-Z0-9]{10}$'
    when 'SIGNINGID' then identifier ~ '^([A-Z0-9]{10}|platform):.+$'
    when 'CDHASH' then identifier ~ '^[0-9a-f]{40}$'
  end)
);
create unique index rule_live_target on rule (layer_id, rule_type, identifier) where removed_at is null;

create table rule_version (
  id bigint generated always as identity primary key,
  rule_id bigint not null,
  layer_id bigint not null,
  rule_type text collate "C" not null,
  identifier text collate "C" not null,
  policy text not null constraint rule_policy_known check (policy in ('ALLOWLIST', 'ALLOWLIST_COMPILER',
    'BLOCKLIST', 'SILENT_BLOCKLIST', 'SILENT_GUI_BLOCKLIST', 'SILENT_TTY_BLOCKLIST', 'CEL', 'NONE')),
  cel_expr text,
  custom_msg text not null default '',
  custom_url text not null default '',
  needs_level integer not null default 0,
  grants_compiler boolean not null,
  locked boolean not null default false,
  opened_seq bigint,
  closed_seq bigint check (closed_seq > opened_seq),
  opened_at timestamptz not null,
  opened_by bigint references app_user on delete set null,
  comment text not null default '',
  reason text not null default '',
  starts_at timestamptz,
  expires_at timestamptz,
  cancelled_at timestamptz,
  foreign key (rule_id, layer_id, rule_type, identifier)
    references rule (id, layer_id, rule_type, identifier),
  constraint rule_cel_pair check ((policy = 'CEL') = (cel_expr is not null) and cel_expr <> ''),
  constraint rule_compiler_target check (
    not grants_compiler or rule_type in ('BINARY', 'SIGNINGID', 'CDHASH')),
  constraint rule_compiler_marked check (policy <> 'ALLOWLIST_COMPILER' or grants_compiler),
  constraint rule_mask_needs_layer check (policy <> 'NONE' or layer_id <> 1),
  constraint rule_version_order check (starts_at < expires_at),
  constraint rule_version_waits check (opened_seq is not null or starts_at is not null),
  constraint rule_version_cancelled check (cancelled_at is null or opened_seq is null),
  constraint rule_version_closed_opened check (closed_seq is null or opened_seq is not null)
);
create unique index rule_version_live on rule_version (rule_id)
  where closed_seq is null and cancelled_at is null;
create index rule_version_target on rule_version (layer_id, rule_type, identifier, opened_seq);
create index rule_version_opened on rule_version (layer_id, opened_seq);
create index rule_version_closed on rule_version (layer_id, closed_seq) where closed_seq is not null;
create index rule_version_current on rule_version (rule_type, identifier)
  where closed_seq is null and cancelled_at is null;
create index rule_version_compiler on rule_version (layer_id) where grants_compiler;
create index rule_version_starts on rule_version (starts_at)
  where opened_seq is null and cancelled_at is null;
create index rule_version_expires on rule_version (expires_at)
  where closed_seq is null and cancelled_at is null;

create table setting_version (
  id bigint generated always as identity primary key,
  layer_id bigint not null references layer,
  key text not null,
  value jsonb not null,
  opened_seq bigint not null,
  closed_seq bigint check (closed_seq > opened_seq),
  opened_at timestamptz not null,
  opened_by bigint references app_user on delete set null,
  locked boolean not null default false
);
create unique index setting_version_open on setting_version (layer_id, key) where closed_seq is null;

create table essential (
  id bigint generated always as identity primary key,
  name text not null check (name <> ''),
  use text not null,
  rule_type text not null check (rule_type in ('BINARY', 'CERTIFICATE', 'TEAMID', 'SIGNINGID', 'CDHASH')),
  identifiers text[] not null check (cardinality(identifiers) between 1 and 50),
  paths text[] not null check (cardinality(paths) <= 50),
  created_at timestamptz not null,
  created_by bigint references app_user on delete set null,
  changed_at timestamptz not null
);
create unique index essential_name on essential (lower(name));
comment on table essential is 'Programs that no change of the policy may block on any Mac without an override.';

-- Syncs: what each machine has and gets

create table sync_session (
  id bigint generated always as identity,
  machine_id bigint not null references machine on delete cascade,
  target_signature integer not null references policy_signature,
  target_seq bigint not null,
  kind text not null check (kind in ('normal', 'clean', 'clean_all')),
  clean_reason text check ((clean_reason is null) = (kind = 'normal')),
  base_signatures integer[] not null,
  base_seqs bigint[] not null check (cardinality(base_seqs) = cardinality(base_signatures)),
  hash_before text not null,
  held boolean not null,
  first_page_at timestamptz,
  sent_count integer,
  received_count bigint,
  processed_count bigint,
  hash_after text,
  state text not null default 'open' check (state in ('open', 'acked', 'refused', 'superseded')),
  started_at timestamptz not null,
  finished_at timestamptz,
  primary key (machine_id, id)
) with (fillfactor = 80);
create index sync_session_started on sync_session using brin (started_at);

create table machine_sync (
  machine_id bigint primary key references machine on delete cascade,
  acked_signature integer references policy_signature,
  acked_seq bigint check ((acked_seq is null) = (acked_signature is null)),
  acked_hash text not null default '',
  possible_signatures integer[] not null default '{}',
  possible_seqs bigint[] not null default '{}'
    check (cardinality(possible_seqs) = cardinality(possible_signatures)),
  pending_session bigint,
  queued_clean text check (queued_clean in ('clean', 'clean_all')),
  drift_cleans integer not null default 0,
  last_drift_clean_at timestamptz,
  drift_suppressed boolean not null default false,
  pending_signature integer references policy_signature,
  pending_seq bigint,
  pending_kind text check (pending_kind in ('normal', 'clean', 'clean_all')),
  pending_hash text,
  pending_served boolean not null default false,
  pending_sent integer,
  recent_counts integer[] not null default '{}' check (cardinality(recent_counts) <= 8),
  signature integer references policy_signature,
  membership_fingerprint bytea check (octet_length(membership_fingerprint) = 16),
  last_preflight_at timestamptz,
  last_postflight_at timestamptz,
  last_clean_at timestamptz,
  monitor_until timestamptz,
  drift_since timestamptz,
  expected_counts integer[] check (expected_counts is null or cardinality(expected_counts) = 5)
) with (fillfactor = 70);
comment on table machine_sync is 'Updated by every sync, so nothing that rarely changes belongs here.';
comment on column machine_sync.pending_session is 'the open sync; one that sends nothing has no row in sync_session';
comment on column machine_sync.drift_since is 'since when the rule table is not what it should be';
comment on column machine_sync.expected_counts is 'what its counts should have been when they last differed';
comment on column machine_sync.membership_fingerprint is 'of what the machine reported and the layers'' version: signature holds while it does';
create index machine_sync_acked on machine_sync (acked_seq);

create table machine_signature (
  machine_id bigint not null references machine on delete cascade,
  id bigint generated always as identity,
  at timestamptz not null,
  signature integer,
  primary key (machine_id, id)
);
create index machine_signature_at on machine_signature using brin (at);
comment on table machine_signature is 'From when on a machine had which layers and client; null: it was not managed any more.';

create table machine_confirmation (
  machine_id bigint not null references machine on delete cascade,
  id bigint generated always as identity,
  at timestamptz not null,
  seq bigint,
  signature integer,
  primary key (machine_id, id),
  check ((seq is null) = (signature is null))
);
create index machine_confirmation_at on machine_confirmation using brin (at);
comment on table machine_confirmation is 'From when on a machine had confirmed which rules and settings; null: unknown. Only what differs from the row before.';

create table withheld_layer (
  machine_id bigint not null references machine on delete cascade,
  layer_id bigint not null,
  gained boolean not null,
  since timestamptz not null,
  reason text not null,
  primary key (machine_id, layer_id)
);
comment on table withheld_layer is 'Layers that a machine does not get or lose, though its report says so: that would block what it needs.';

-- Programs, and what Macs say of them

create table certificate (
  sha256 text primary key,
  cn text not null,
  org text not null,
  ou text not null,
  valid_from timestamptz,
  valid_until timestamptz
);

create table certificate_claim (
  sha256 text not null references certificate,
  digest bytea not null check (octet_length(digest) = 16),
  cn text not null,
  org text not null,
  ou text not null,
  valid_from timestamptz,
  valid_until timestamptz,
  claimed_at timestamptz not null,
  primary key (sha256, digest)
);
comment on table certificate_claim is 'What Macs claim; certificate holds what most of them do.';

create table certificate_claim_machine (
  sha256 text not null,
  machine_id bigint not null references machine on delete cascade,
  digest bytea not null,
  primary key (sha256, machine_id),
  foreign key (sha256, digest) references certificate_claim
);
create index certificate_claim_machine_id on certificate_claim_machine (machine_id);
comment on table certificate_claim_machine is 'Which Macs claim it, one claim for each; some are enough.';

create table program (
  id bigint generated always as identity primary key,
  sha256 text not null unique,
  file_name text not null,
  team_id text not null,
  signing_id text not null,
  cdhash text not null,
  bundle_id text not null,
  bundle_name text not null,
  bundle_path text not null,
  bundle_version text not null,
  bundle_hash text not null,
  signing_chain text[] not null,
  signing_status text not null,
  cs_flags bigint,
  entitlements jsonb,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  file_path text not null default ''
);
comment on column program.signing_chain is 'digests of certificates, leaf first';
create index program_signing_id on program (signing_id) where signing_id <> '';
create index program_team_id on program (team_id) where team_id <> '';
create index program_cdhash on program (cdhash) where cdhash <> '';
create index program_certificate on program ((signing_chain[1]));
create index program_last_seen on program (last_seen_at desc, id desc);

create table program_path (
  program_id bigint not null references program,
  digest bytea not null check (octet_length(digest) = 16),
  file_path text not null,
  file_name text not null,
  primary key (program_id, digest)
);
comment on table program_path is 'Names and paths of a program beside those in program.';

create table program_claim (
  program_id bigint not null references program,
  digest bytea not null check (octet_length(digest) = 16),
  team_id text not null,
  signing_id text not null,
  cdhash text not null,
  signing_chain text[] not null,
  claimed_at timestamptz not null,
  primary key (program_id, digest)
);
create index program_claim_cdhash on program_claim (cdhash) where cdhash <> '';
create index program_claim_certificate on program_claim ((signing_chain[1]));
comment on table program_claim is 'What Macs say of a signature; program holds what most say.';

create table program_claim_machine (
  program_id bigint not null,
  machine_id bigint not null references machine on delete cascade,
  digest bytea not null,
  primary key (program_id, machine_id),
  foreign key (program_id, digest) references program_claim
);
create index program_claim_machine_id on program_claim_machine (machine_id);
comment on table program_claim_machine is 'Which Macs say so, one claim for each; some are enough.';

create table program_bundle_claim (
  program_id bigint not null references program,
  digest bytea not null check (octet_length(digest) = 16),
  bundle_id text not null,
  bundle_name text not null,
  bundle_version text not null,
  bundle_hash text not null,
  claimed_at timestamptz not null,
  primary key (program_id, digest)
);
comment on table program_bundle_claim is 'What Macs claim; program holds what most of them do.';

create table program_bundle_claim_machine (
  program_id bigint not null,
  machine_id bigint not null references machine on delete cascade,
  digest bytea not null,
  primary key (program_id, machine_id),
  foreign key (program_id, digest) references program_bundle_claim
);
create index program_bundle_claim_machine_id on program_bundle_claim_machine (machine_id);
comment on table program_bundle_claim_machine is 'Which Macs claim it, one claim for each; some are enough.';

create table bundle (
  hash text primary key,
  binary_count integer not null,
  first_seen_at timestamptz not null
);

create table bundle_binary (
  bundle_hash text not null references bundle on delete cascade,
  program_id bigint not null references program,
  primary key (bundle_hash, program_id)
);

create table bundle_claim (
  hash text not null references bundle,
  digest bytea not null check (octet_length(digest) = 16),
  binary_count integer not null,
  claimed_at timestamptz not null,
  primary key (hash, digest)
);
comment on table bundle_claim is 'What Macs claim; bundle holds what most of them do.';

create table bundle_claim_machine (
  hash text not null,
  machine_id bigint not null references machine on delete cascade,
  digest bytea not null,
  primary key (hash, machine_id),
  foreign key (hash, digest) references bundle_claim
);
create index bundle_claim_machine_id on bundle_claim_machine (machine_id);
comment on table bundle_claim_machine is 'Which Macs claim it, one claim for each; some are enough.';

-- Events: keyed by what never changes in a repetition, one partition for each day

create sequence event_id_seq;
create table event (
  id bigint not null default nextval('event_id_seq'),
  occurred_at timestamptz not null,
  received_at timestamptz not null,
  machine_id bigint not null,
  program_id bigint not null,
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
  constraint event_key primary key (machine_id, occurred_at, program_id, pid, decision)
) partition by range (occurred_at);
comment on table event is 'No foreign keys: a new partition would lock machine and program for its own.';
alter sequence event_id_seq owned by event.id;
create table event_default partition of event default;
create index event_id on event (id);
create index event_newest on event (occurred_at desc, id desc);
create index event_decision on event (decision, occurred_at desc, id desc);
create index event_blocked on event (occurred_at desc, id desc) where blocked;
create index event_program on event (program_id, occurred_at desc, id desc);
create index event_user on event (executing_user, occurred_at desc, id desc);

create table event_hour (
  hour timestamptz not null,
  decision text collate "C" not null,
  events bigint not null,
  primary key (hour, decision)
) with (fillfactor = 50);

create table program_day (
  day date not null,
  program_id bigint not null,
  decision text collate "C" not null,
  events bigint not null,
  primary key (day, program_id, decision)
) with (fillfactor = 70);
create index program_day_program on program_day (program_id, day);

create table event_count_delta (
  hour timestamptz not null,
  program_id bigint not null,
  decision text collate "C" not null,
  events bigint not null
);
create index event_count_delta_program on event_count_delta (program_id);
comment on table event_count_delta is
  'What uploads added that event_hour and program_day do not include yet; the counts are the sums of both.';

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
  constraint file_access_event_key primary key (machine_id, occurred_at, dedupe_key)
) partition by range (occurred_at);
alter sequence file_access_id_seq owned by file_access_event.id;
create table file_access_event_default partition of file_access_event default;
create index file_access_event_newest on file_access_event (occurred_at desc, id desc);
create index file_access_event_of_machine on file_access_event (machine_id, occurred_at desc, id desc);

create table agent_audit_event (
  id bigint generated always as identity,
  occurred_at timestamptz not null,
  received_at timestamptz not null,
  machine_id bigint not null references machine on delete cascade,
  kind text not null,
  detail jsonb not null,
  dedupe_key bytea not null check (octet_length(dedupe_key) = 16),
  constraint agent_audit_event_key primary key (machine_id, dedupe_key)
);
create index agent_audit_event_time on agent_audit_event (occurred_at desc, id desc);

-- The server's role need not own the tables: these functions run as their owner.

create function event_partition(parent text, day date) returns text language plpgsql immutable as $$
begin
  if parent not in ('event', 'file_access_event') then
    raise exception 'there are no events in %', parent;
  end if;
  return parent || '_' || to_char(day, 'YYYYMMDD');
end $$;

create function event_partition_create(parent text, day date) returns void language plpgsql security definer as $$
begin
  execute format('create table %I partition of %I for values from (%L) to (%L)', event_partition(parent, day), parent,
    day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
end $$;

create function event_partition_drop(parent text, day date) returns void language plpgsql security definer as $$
begin
  execute format('drop table if exists %I', event_partition(parent, day));
end $$;

-- Without a path of their own, whoever calls them could put temporary tables in front of the tables they mean.
do $$
declare
  one regprocedure;
begin
  for one in select p.oid from pg_proc p where p.prosecdef and p.pronamespace = current_schema()::regnamespace loop
    execute format('alter function %s set search_path = %I, pg_temp', one, current_schema());
  end loop;
end $$;
