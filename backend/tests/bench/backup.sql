-- A fleet to measure backups of; the words in braces are numbers.
update policy_head set seq = 100, settings_seq = 1, content_seq = 100;
insert into policy_change (seq, at, actor_kind, actor_name, kind, reason, request_id, summary, latest_at)
  select n, now(), 'command_line', 'bench', 'rule', '', '', '{}', now() from generate_series(1, 100) n;
insert into policy_signature (layers, capabilities) values ('{1}', 7);
insert into rule (layer_id, rule_type, identifier, created_at)
  select 1, 'BINARY', encode(sha256(n::text::bytea), 'hex'), now() from generate_series(1, {rules}) n;
insert into rule_version (rule_id, layer_id, rule_type, identifier, policy, custom_msg, grants_compiler, opened_seq,
    opened_at, comment)
  select id, layer_id, rule_type, identifier, 'ALLOWLIST', '', false, 1 + id % 100, now(), 'package of the week ' || id
  from rule;
insert into machine (machine_id, serial, hostname, model, os_version, os_build, santa_version, primary_user, enrolled_at)
  select upper(gen_random_uuid()::text), 'C02' || n, 'mac-' || n || '.example.com', 'Mac16,1', '15.6.1', '24G90',
    '2026.7', 'user' || n, now() from generate_series(1, {macs}) n;
insert into machine_sync (machine_id, acked_signature, acked_seq, acked_hash, signature, membership_fingerprint,
    last_preflight_at, last_postflight_at)
  select id, 1, 100, md5(id::text), 1, substr(sha256(id::text::bytea), 1, 16), now(), now() from machine;
insert into machine_signature (machine_id, at, signature) select id, now(), 1 from machine;
insert into machine_confirmation (machine_id, at, seq, signature)
  select id, now() - n * interval '1 day', 100 - n, 1 from machine, generate_series(1, 20) n;
insert into sync_session (machine_id, target_signature, target_seq, kind, base_signatures, base_seqs, hash_before, held,
    state, sent_count, received_count, processed_count, hash_after, started_at, finished_at)
  select id, 1, 100 - n, 'normal', '{1}', array[99 - n], md5(id::text), false, 'acked', 12, 12, 12, md5(n::text),
    now() - n * interval '1 day', now() from machine, generate_series(1, 20) n;
insert into program (sha256, file_name, team_id, signing_id, cdhash, bundle_id, bundle_name, bundle_path,
    bundle_version, bundle_hash, signing_chain, signing_status, first_seen_at, last_seen_at)
  select encode(sha256(n::text::bytea), 'hex'), 'tool-' || n, 'TEAM' || lpad((n % 100)::text, 6, '0'), 'com.example.' || n,
    substr(encode(sha256(n::text::bytea), 'hex'), 1, 40), '', '', '', '', '', '{}', 'PRODUCTION', now(), now()
  from generate_series(1, 5000) n;
select event_partition_create(t, current_date - n)
  from unnest('{event,file_access_event}'::text[]) t, generate_series(0, 29) n;
insert into event (occurred_at, received_at, machine_id, program_id, pid, ppid, decision, static_rule, file_name,
    file_path, executing_user, parent_name, logged_in_users, current_sessions)
  select now() - (n % 2500000) * interval '1 second', now(), 1 + n % {macs}, 1 + n % 5000, n, 1,
    (array['ALLOW_BINARY', 'ALLOW_SIGNINGID', 'BLOCK_UNKNOWN'])[1 + n % 3], false, 'tool-' || n % 5000,
    '/Applications/Tool ' || n % 5000 || '.app/Contents/MacOS', 'user' || n % {macs}, 'launchd',
    array['user' || n % {macs}], array['user' || n % {macs} || '@console']
  from generate_series(1, {events}) n;
insert into event_hour select now() - n * interval '1 hour', d, 10
  from generate_series(1, 9600) n, unnest('{ALLOW_BINARY,BLOCK_UNKNOWN}'::text[]) d;
insert into program_day select current_date - n % 400, 1 + n / 400, 'BLOCK_UNKNOWN', 3 from generate_series(0, 199999) n;
select audit_append(array_agg(e), array_agg(substr(sha256(e::bytea), 1, 16)), array_agg(d)) from (
  select '{"action":"rule_created","actor":{"id":1,"kind":"user"},"at":"2026-11-01T12:00:00.000000Z","details":"' ||
      encode(sha256(n::text::bytea), 'hex') || '","object":{"id":"' || n ||
      '","type":"rule"},"policy_seq":7,"request_id":"0123456789abcdef","v":1}' as e,
    '{"actor":"admin","address":"192.0.2.7","after":{"custom_msg":"","identifier":"' || encode(sha256(n::text::bytea), 'hex') ||
      '","policy":"BLOCKLIST","rule_type":"BINARY"},"reason":"ticket ' || n || '"}' as d
  from generate_series(1, 20000) n) made;
analyze;
