import { describe, expect, it } from 'vitest';
import type { ClientMode } from '../api/types.ts';
import { someSettings } from '../testing/samples.ts';
import {
  entersLockdown,
  globalLayer,
  globalSettings,
  sameGlobal,
  withGlobalLock,
} from './global-settings.ts';
import { SETTING_KINDS } from './layer-settings.ts';

const own = { layer: 'global', values: { batch_size: 50 }, locked: ['batch_size'], etag: '"1"' };
const saved = globalSettings(someSettings(), own);

describe('the settings of all machines', () => {
  it('differ by a value or by a lock, in any order of locks', () => {
    expect(sameGlobal(saved, { ...saved, locked: [] })).toBe(false);
    expect(sameGlobal(saved, { ...saved, values: someSettings({ batch_size: 9 }) })).toBe(false);
    const two = { ...saved, locked: ['a', 'b'] };
    expect(sameGlobal(two, { ...saved, locked: ['b', 'a'] })).toBe(true);
  });

  it('say only what was said before, what changed, and what is locked', () => {
    const values = someSettings({ full_sync_interval: 1200 });
    const locked = withGlobalLock(saved.locked, 'enable_bundles', true);
    expect(globalLayer({ ...saved, values, locked }, saved)).toEqual({
      layer: 'global',
      values: { batch_size: 50, full_sync_interval: 1200, enable_bundles: true },
      locked: ['batch_size', 'enable_bundles'],
      etag: '"1"',
    });
  });

  it('keep saying what they said when a lock goes', () => {
    const locked = withGlobalLock(saved.locked, 'batch_size', false);
    const sent = globalLayer({ ...saved, locked }, saved);
    expect([sent.values, sent.locked]).toEqual([{ batch_size: 50 }, []]);
  });

  it('name every setting that the server has, so that none is lost', () => {
    expect(SETTING_KINDS.map(({ key }) => key).toSorted()).toEqual(
      Object.keys(someSettings()).toSorted(),
    );
  });
});

describe('Lockdown', () => {
  const mode = (client_mode: ClientMode | undefined, ...locked: string[]) => ({
    values: client_mode ? { client_mode } : {},
    locked,
  });

  it('is entered by the mode and by locking it', () => {
    expect(entersLockdown(mode('LOCKDOWN'), mode('MONITOR'))).toBe(true);
    expect(entersLockdown(mode('LOCKDOWN'), mode(undefined))).toBe(true);
    expect(entersLockdown(mode('LOCKDOWN', 'client_mode'), mode('LOCKDOWN'))).toBe(true);
  });

  it('is not entered by what was so before, by unlocking, or by another mode', () => {
    const locked = mode('LOCKDOWN', 'client_mode');
    expect(entersLockdown(locked, locked)).toBe(false);
    expect(entersLockdown(mode('LOCKDOWN'), locked)).toBe(false);
    expect(entersLockdown(mode('MONITOR', 'client_mode'), mode('LOCKDOWN'))).toBe(false);
    expect(entersLockdown(mode(undefined), mode('LOCKDOWN'))).toBe(false);
  });
});
