-- One row or more in every table that a backup has, and in those that it leaves out; with what COPY has to escape.
insert into app_user (username, name_key, display_name, created_at) values
  ('bea', 'bea', E'Bea\t\\N \\. "quoted"\r\nsecond line \u00e9\u4e2d\U0001f600', '2026-11-01 12:00:00.123456+00');
insert into user_session (id_hash, user_id, created_at, last_seen_at, expires_at, authenticated_at)
  select sha256('session'), id, now(), now(), now() + interval '1 hour', now() from app_user where username = 'bea';
insert into setup_link (secret_hash, user_id, created_at, expires_at)
  select sha256('link'), id, now(), now() + interval '1 hour' from app_user where username = 'bea';
insert into sign_in values (sha256('state'), sha256('browser'), 'nonce', 'verifier', '/', '192.0.2.0/24', now());
insert into logout_token values (sha256('jti'), now());
insert into login_failure values ('bea', 2, now());
insert into api_token (user_id, name, hint, secret_hash, permissions, networks, created_at, expires_at)
  select id, 'ci', 'santa_u_abcd', sha256('token'), '{rule:read}', '{}', '2026-11-01', '2027-11-01' from app_user
  where username = 'bea';
insert into scim_token (name, hint, secret_hash, networks, created_at, expires_at) values
  ('entra', 'santa_d_abcd', sha256('scim'), '{192.0.2.0/24,"2001:db8::/32"}', '2026-11-01', '2027-11-01');
insert into user_identity select id, 'entra:tenant', 'subject', 'Bea', now() from app_user where username = 'bea';
insert into scim_user (user_id, user_name, user_name_key, external_id, emails, attributes, created_at, updated_at)
  select id, 'bea', 'bea', 'subject', '{bea@example.com}', '{"name": {"familyName": "\\N \n", "n": 1.50}}', now(), now()
  from app_user where username = 'bea';
insert into totp_secret select id, '\x005c0a09ff', 12, now() from app_user where username = 'bea';
insert into totp_enrollment select id, '\x00', now() from app_user where username = 'bea';
insert into recovery_code select sha256('code'), id, now() from app_user where username = 'bea';
insert into passkey (user_id, credential_id, credential, user_handle, rp_id, sign_count, name, created_at)
  select id, '\x01', '\x02', sha256('handle'), 'santa.example.com', 3, 'key', now() from app_user where username = 'bea';
insert into pending_login select sha256('pending'), id, sha256('password'), 0, now() from app_user where username = 'bea';
insert into passkey_challenge values (sha256('challenge'), sha256('browser'), 'sign_in', null, null, '', now());
insert into audit_checkpoint (at, size, root, note) values (now(), 1, sha256('root'), E'santa/audit\n1\nroot\n');

insert into machine (machine_id, serial, hostname, enrolled_at, primary_user_groups, client_certificate, secret_id)
  select 'M-' || n, 'C02' || n, 'mac-' || n, '2026-11-01', '{staff,"with, comma",NULL}', sha256('cert'), (select min(id) from enrollment_secret)
  from generate_series(1, 3) n;
insert into machine_serial select id, serial, now(), now() from machine;
insert into monitor_window (machine_id, starts_at, ends_at, reason) select min(id), now(), now() + interval '1 h', 'debug' from machine;
insert into user_group (source, name, name_key, created_at, updated_at) values ('local', 'ops', 'ops', now(), now()),
  ('scim', 'all', 'all', now(), now());
insert into user_group_member select g.id, u.id, now() from user_group g, app_user u where u.username = 'bea';
insert into scim_group (group_id) select id from user_group where source = 'scim';
insert into custom_role (name, permissions, created_at, updated_at) values ('reader', '{rule:read}', now(), now());

update policy_head set seq = 3, settings_seq = 2, content_seq = 3, layer_version = 2;
insert into policy_change (seq, at, actor_kind, actor_id, actor_name, kind, reason, request_id, summary, latest_at)
  select n, '2026-11-01', 'user', null, 'admin', 'rule', '', '', '{"n": [1, null]}', '2026-11-01' from generate_series(1, 3) n;
insert into tag (name, created_at) values ('lab', '2026-11-01');
insert into binding (group_id, custom_role_id, tag_id, created_at)
  select min(g.id), min(r.id), min(t.id), now() from user_group g, custom_role r, tag t;
insert into tag_version (tag_id, name, description, groups, enrollments, opened_seq) select id, name, '', '{}', '{}', 1 from tag;
insert into tag_enrollment select t.id, e.id from tag t, enrollment e;
insert into tag_member (tag_id, machine_id, source, joined_at, joined_seq) select t.id, m.id, 'manual', now(), 1 from tag t, machine m;
insert into tag_order_version select 1, array_agg(id), now(), null from tag;
insert into layer (kind, name, rank, tag_id, used) select 'tag', name, 1, id, true from tag;
insert into policy_signature (layers, capabilities) values ('{1}', 7), ('{1,2}', 7);
insert into rule (layer_id, rule_type, identifier, created_at) values (1, 'TEAMID', 'EQHXZ8M8AV', now());
insert into rule_version (rule_id, layer_id, rule_type, identifier, policy, custom_msg, grants_compiler, opened_seq, opened_at)
  select id, layer_id, rule_type, identifier, 'BLOCKLIST', E'tab\t and \\ line\nend', false, 1, now() from rule;
insert into setting_version (layer_id, key, value, opened_seq, opened_at) values (1, 'client_mode', '"LOCKDOWN"', 2, now());
insert into essential (name, use, rule_type, identifiers, paths, created_at, changed_at) values
  ('VPN', 'vpn', 'TEAMID', '{EQHXZ8M8AV}', '{}', now(), now());
insert into sync_session (machine_id, target_signature, target_seq, kind, base_signatures, base_seqs, hash_before, held, started_at)
  select id, 1, 3, 'normal', '{1}', '{2}', 'hash', false, now() from machine;
insert into machine_sync (machine_id, acked_signature, acked_seq, acked_hash, possible_signatures, possible_seqs, signature,
    membership_fingerprint, pending_session, pending_signature, pending_seq, pending_kind, pending_hash, pending_served)
  select id, 1, 2, 'hash', '{1}', '{1}', 1, substr(sha256('m'), 1, 16), 1, 1, 3, 'normal', 'hash', true from machine;
insert into machine_signature (machine_id, at, signature) select id, now(), 1 from machine;
insert into machine_confirmation (machine_id, at, seq, signature) select id, now(), 2, 1 from machine;
insert into withheld_layer select min(id), 2, true, now(), 'it would block VPN' from machine;

insert into certificate values (encode(sha256('c'), 'hex'), 'cn', 'org', 'ou', now(), 'infinity');
insert into certificate_claim select sha256, substr(sha256('d'), 1, 16), cn, org, ou, null, null, now() from certificate;
insert into certificate_claim_machine select c.sha256, m.id, c.digest from certificate_claim c, machine m;
insert into program (sha256, file_name, team_id, signing_id, cdhash, bundle_id, bundle_name, bundle_path, bundle_version, bundle_hash,
    signing_chain, signing_status, cs_flags, entitlements, first_seen_at, last_seen_at)
  values (encode(sha256('p'), 'hex'), 'tool', '', '', '', '', '', '', '', '', '{a,b}', 'PRODUCTION', 4294967295, '{"com.apple.x": true}', now(), now());
insert into program_path select id, substr(sha256('path'), 1, 16), '/tmp', 'tool' from program;
insert into program_claim select id, substr(sha256('claim'), 1, 16), '', '', '', '{}', now() from program;
insert into program_claim_machine select c.program_id, m.id, c.digest from program_claim c, machine m;
insert into program_bundle_claim select id, substr(sha256('claim'), 1, 16), '', '', '', '', now() from program;
insert into program_bundle_claim_machine select c.program_id, m.id, c.digest from program_bundle_claim c, machine m;
insert into bundle values ('bundle', 1, now());
insert into bundle_binary select b.hash, p.id from bundle b, program p;
insert into bundle_claim select hash, substr(sha256('claim'), 1, 16), 1, now() from bundle;
insert into bundle_claim_machine select c.hash, m.id, c.digest from bundle_claim c, machine m;

select event_partition_create('event', '2026-11-20'), event_partition_create('event', '2026-11-21');
insert into event (occurred_at, received_at, machine_id, program_id, pid, ppid, decision, static_rule, file_name, file_path,
    executing_user, parent_name, logged_in_users, current_sessions, quarantine)
  select at, now(), m.id, 1, 7, 1, 'BLOCK_UNKNOWN', false, 'tool', E'/tmp/\\with\tall', 'bea', 'launchd', '{bea}', '{}', '{"a": "\t"}'
  from machine m, unnest('{2026-11-20 10:00+00,2026-11-21 10:00+00,2019-01-01 10:00+00}'::timestamptz[]) at;
insert into event_hour values ('2026-11-20 10:00+00', 'BLOCK_UNKNOWN', 3);
insert into program_day values ('2026-11-20', 1, 'BLOCK_UNKNOWN', 3);
insert into event_count_delta values ('2026-11-20 10:00+00', 1, 'BLOCK_UNKNOWN', 3);
insert into file_access_event (occurred_at, received_at, machine_id, rule_name, rule_version, target, decision, process_chain, dedupe_key)
  select now(), now(), id, 'r', '1', '/x', 'DENIED', '[]', substr(sha256('f'), 1, 16) from machine;
insert into agent_audit_event (occurred_at, received_at, machine_id, kind, detail, dedupe_key)
  select now(), now(), id, 'standalone', '{}', substr(sha256('a'), 1, 16) from machine;
