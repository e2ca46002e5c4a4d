import { describe, expect, it } from 'vitest';
import {
  describeLayer,
  firstLayer,
  layerKinds,
  layerError,
  layerName,
  layerParts,
} from './layers.ts';

describe('the name of a layer', () => {
  it.each(['global', 'tag:Finance 2.0', 'user:lena', 'machine:A:B-C'])(
    'is read and written: %s',
    (name) => {
      expect(layerName(layerParts(name))).toBe(name);
    },
  );

  it('keeps colons of the owner', () => {
    expect(layerParts('machine:A:B')).toEqual({ kind: 'machine', owner: 'A:B' });
  });

  it('is incomplete without an owner', () => {
    expect(layerError('global')).toBeNull();
    expect(layerError('tag:x')).toBeNull();
    expect(layerError('tag:')).toBe('Choose a tag.');
    expect(layerError('user: ')).toBe('Enter a user name.');
    expect(layerError('machine:')).toBe('Choose a machine.');
  });

  it('is said in words', () => {
    expect(describeLayer('global')).toBe('Every machine');
    expect(describeLayer('tag:finance')).toBe('Tag finance');
    expect(describeLayer('machine:M-1')).toBe('Machine M-1');
  });
});

describe('a permission that is limited to tags', () => {
  it('offers only what it can reach', () => {
    expect(layerKinds(undefined, 'global')).toEqual(['global', 'tag', 'user', 'machine']);
    expect(layerKinds(['lab'], 'tag')).toEqual(['tag', 'machine']);
    expect(layerKinds(['lab'], 'user')).toEqual(['tag', 'user', 'machine']);
  });

  it('begins with its tag, when it is the only one', () => {
    expect(firstLayer(undefined)).toBe('global');
    expect(firstLayer(['lab'])).toBe('tag:lab');
    expect(firstLayer(['lab', 'office'])).toBe('tag:');
  });
});
