import { describe, expect, it } from 'vitest';
import { someSettings } from '../testing/samples.ts';
import { sameSettings, settingsErrors, withMediaAction } from './settings-form.ts';

describe('settings', () => {
  it('are right as the server gives them', () => {
    expect(settingsErrors(someSettings())).toEqual({});
  });

  it('refuse a sync interval below a minute and half numbers', () => {
    expect(settingsErrors(someSettings({ full_sync_interval: 59 }))).toHaveProperty(
      'full_sync_interval',
    );
    expect(settingsErrors(someSettings({ batch_size: 1.5 }))).toHaveProperty('batch_size');
  });

  it('refuse restrictions without one', () => {
    const none = { action: 'remount' as const, flags: [] };
    const settings = someSettings({ removable_media_policy: none });
    expect(settingsErrors(settings)).toHaveProperty('removable_media_policy');
    const encrypted = someSettings({ encrypted_removable_media_policy: none });
    expect(settingsErrors(encrypted)).toHaveProperty('encrypted_removable_media_policy');
  });

  it('start restricted mounts with sensible flags and drop them otherwise', () => {
    expect(withMediaAction([], 'remount').flags).not.toEqual([]);
    expect(withMediaAction(['rdonly'], 'block').flags).toEqual([]);
  });

  it('are the same in any order of keys and flags', () => {
    const one = someSettings({
      removable_media_policy: { action: 'remount', flags: ['rdonly', 'noexec'] },
    });
    const { client_mode, ...rest } = one;
    const media = { action: 'remount' as const, flags: ['noexec' as const, 'rdonly' as const] };
    expect(sameSettings(one, { ...rest, removable_media_policy: media, client_mode })).toBe(true);
    expect(sameSettings(one, { ...one, batch_size: 51 })).toBe(false);
  });
});
