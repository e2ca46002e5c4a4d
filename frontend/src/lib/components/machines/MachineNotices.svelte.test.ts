import { render, screen } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import { someMachineDetail } from '../../testing/samples.ts';
import MachineNotices from './MachineNotices.svelte';

const noRules = { binary: 0, certificate: 0, teamid: 0, signingid: 0, cdhash: 0 };

describe('the notices of a machine', () => {
  it('says nothing about a machine with which all is well', () => {
    render(MachineNotices, { machine: someMachineDetail() });
    expect(screen.queryByRole('region')).toBeNull();
  });

  it('names both serial numbers of one id', () => {
    const seen = { first_seen_at: '2026-11-01T12:00:00Z', last_seen_at: '2026-11-23T12:00:00Z' };
    const machine = someMachineDetail({
      notices: [{ kind: 'identity_conflict', text: 'Two machines', advice: 'Give each its own' }],
      serials: [
        { serial: 'C02B', ...seen },
        { serial: 'C02A', ...seen },
      ],
    });
    render(MachineNotices, { machine });
    expect(
      screen.getAllByRole('listitem').map((item) => item.textContent.trim().slice(0, 4)),
    ).toEqual(['C02B', 'C02A']);
    expect(screen.getByText('Give each its own')).toBeTruthy();
  });

  it('tells both counts', () => {
    const machine = someMachineDetail({
      notices: [{ kind: 'counts_differ', text: 'Its counts differ', advice: 'Look' }],
      counts_difference: {
        since: '2026-11-01T12:00:00Z',
        ours: { ...noRules, binary: 1234, total: 1234 },
        its: { ...noRules, binary: 1235, total: 1235 },
        next_clean_at: null,
      },
    });
    render(MachineNotices, { machine });
    expect(screen.getByText('1,234')).toBeTruthy();
    expect(screen.getByText('1,235')).toBeTruthy();
    expect(screen.getByText('at the next contact')).toBeTruthy();
  });

  it('lists rules and settings that are not delivered, with the reason', () => {
    const machine = someMachineDetail({
      notices: [
        { kind: 'rules_undelivered', text: 'Some rules', advice: 'a' },
        { kind: 'settings_undelivered', text: 'Some settings', advice: 'b' },
      ],
      undelivered_rules: {
        items: [
          {
            rule_id: 1,
            rule_type: 'BINARY',
            identifier: 'a'.repeat(64),
            policy: 'CEL',
            layer: 'global',
            sent: null,
            next_policy: 'BLOCKLIST',
            next_layer: 'global',
            why: 'pedro cannot read the policy CEL',
          },
        ],
        total: 120,
      },
      undelivered_settings: [
        { key: 'event_detail_url', sent: null, why: 'pedro cannot read this setting' },
      ],
    });
    render(MachineNotices, { machine });
    expect(screen.getByText(/pedro cannot read the policy CEL/)).toBeTruthy();
    expect(screen.getByText('Showing the first 1 of 120.')).toBeTruthy();
    expect(screen.getByText(/pedro cannot read this setting/)).toBeTruthy();
  });
});
