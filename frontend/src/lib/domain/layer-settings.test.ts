import { describe, expect, it } from 'vitest';
import { someSettings } from '../testing/samples.ts';
import {
  SETTING_DEFAULTS,
  SETTING_KINDS,
  describeSetting,
  layerErrors,
  sameLayer,
  withLock,
  withSetting,
  withoutSetting,
} from './layer-settings.ts';

const empty = { layer: 'tag:lab', values: {}, locked: [], etag: '"1"' };

it('knows every setting that a sync hands out', () => {
  const known = SETTING_KINDS.map((kind) => kind.key).toSorted();
  expect(known).toEqual(Object.keys(someSettings()).toSorted());
  expect(Object.keys(SETTING_DEFAULTS).toSorted()).toEqual(known);
});

describe('what a layer says itself', () => {
  it('is added, locked and given up one by one', () => {
    const owned = withLock(withSetting(empty, 'batch_size', 10), 'batch_size', true);
    expect(owned).toMatchObject({ values: { batch_size: 10 }, locked: ['batch_size'] });
    expect(withoutSetting(owned, 'batch_size')).toEqual(empty);
    expect(withLock(owned, 'batch_size', false).locked).toEqual([]);
  });

  it('is the same in whatever order it is said', () => {
    const one = withSetting(withSetting(empty, 'batch_size', 10), 'client_mode', 'LOCKDOWN');
    const other = withSetting(withSetting(empty, 'client_mode', 'LOCKDOWN'), 'batch_size', 10);
    expect(sameLayer(one, other)).toBe(true);
    expect(sameLayer(one, withLock(other, 'batch_size', true))).toBe(false);
  });

  it('is checked only where it says something', () => {
    expect(layerErrors(empty)).toEqual({});
    expect(layerErrors(withSetting(empty, 'full_sync_interval', 5))).toHaveProperty(
      'full_sync_interval',
    );
    const media = { action: 'remount', flags: [] };
    expect(layerErrors(withSetting(empty, 'removable_media_policy', media))).toHaveProperty(
      'removable_media_policy',
    );
    expect(layerErrors(withSetting(empty, 'event_detail_url', 'ftp://x'))).toHaveProperty(
      'event_detail_url',
    );
  });
});

it('says values in words', () => {
  const words = Object.fromEntries(
    SETTING_KINDS.map((kind) => [kind.key, describeSetting(kind, someSettings())]),
  );
  expect(words).toMatchObject({
    client_mode: 'Monitor',
    full_sync_interval: '10 min',
    batch_size: '50',
    enable_bundles: 'On',
    allowed_path_regex: '–',
    removable_media_policy: 'Allow',
    encrypted_removable_media_policy: 'Same as other volumes',
    override_file_access_action: 'As set by each rule',
  });
});
