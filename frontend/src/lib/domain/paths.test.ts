import { describe, expect, it } from 'vitest';
import { fillPath, machineIdOf, machineSegment } from './paths.ts';

describe('machine ids in paths', () => {
  it.each([
    ['C02XYZ', 'C02XYZ'],
    ['564D8B1A-0000:1.example', '564D8B1A-0000:1.example'],
    ['a/b', '~YS9i'],
    ['x/tags', '~eC90YWdz'],
    ['.', '~Lg'],
    ['..', '~Li4'],
    ['.hidden', '~LmhpZGRlbg'],
    ['~YS9i', '~fllTOWk'],
    ['/x//y/', '~L3gvL3kv'],
    ['50% ?#;\\', '~NTAlID8jO1w'],
    ['ä\u202e\ufeff', '~w6TigK7vu78'],
    ['\ufeff?>', '~77u_Pz4'],
  ])('writes %s as %s', (id, written) => {
    expect(machineSegment(id)).toBe(written);
    expect(encodeURIComponent(written).replaceAll('%3A', ':')).toBe(written);
    expect(machineIdOf(written)).toBe(id);
  });

  it.each(['a/b', 'x y', '~?', '~YQ==', '~YR', '~_w', '~YS9'])('reads %s as it is', (id) => {
    expect(machineIdOf(id)).toBe(id);
  });
});

describe('paths of the API', () => {
  it('fills every place', () => {
    const values = { tag_id: 7, machine_id: 'a/{tag_id}?' };
    expect(fillPath('/api/v1/tags/{tag_id}/members/{machine_id}', values)).toBe(
      `/api/v1/tags/7/members/${machineSegment('a/{tag_id}?')}`,
    );
    expect(fillPath('/x/{sha256}', { sha256: 'a b' })).toBe('/x/a%20b');
  });
});
