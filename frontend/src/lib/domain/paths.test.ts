import { describe, expect, it } from 'vitest';
import { fillPath, pathOf } from './paths.ts';

describe('values in paths', () => {
  it.each([
    ['C02XYZ', 'C02XYZ'],
    ['a/b', 'a/b'],
    ['/x//y/', '/x//y/'],
    ['50% ?#;', '50%25%20%3F%23%3B'],
    ['ä\u202e', '%C3%A4%E2%80%AE'],
  ])('writes %s as %s', (value, written) => {
    expect(pathOf(value)).toBe(written);
    expect(decodeURIComponent(written)).toBe(value);
  });

  it('fills every place', () => {
    const values = { tag_id: 7, machine_id: 'a/{tag_id}?' };
    expect(fillPath('/api/v1/tags/{tag_id}/members/{machine_id}', values)).toBe(
      '/api/v1/tags/7/members/a/%7Btag_id%7D%3F',
    );
  });
});
