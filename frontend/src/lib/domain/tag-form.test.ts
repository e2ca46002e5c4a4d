import { describe, expect, it } from 'vitest';
import { someTag } from '../testing/samples.ts';
import {
  describeSources,
  describeTrial,
  emptyTagForm,
  formFromTag,
  groupsIn,
  tagErrors,
  toTagContent,
} from './tag-form.ts';

describe('the tag form', () => {
  it('sends an existing tag back as it was', () => {
    const tag = someTag({
      groups: ['Finance, EU', 'Lab'],
      predicate: 'sip_enabled',
      enrollments: [3],
    });
    expect(toTagContent(formFromTag(tag))).toEqual({
      name: tag.name,
      description: tag.description,
      predicate: 'sip_enabled',
      groups: ['Finance, EU', 'Lab'],
      enrollments: [3],
    });
  });

  it('sends no predicate for an empty one', () => {
    expect(toTagContent({ ...emptyTagForm(), name: ' x ', predicate: ' ' })).toMatchObject({
      name: 'x',
      predicate: null,
    });
  });

  it('reads one group from each line, once', () => {
    expect(groupsIn(' a \n\nb, c\na')).toEqual(['a', 'b, c']);
  });

  it.each([
    ['', /name/],
    ['-x', /Start with a letter or digit/],
    ['a:b', /letters/],
    ['x'.repeat(101), /letters/],
  ])('refuses the name %j', (name, words) => {
    expect(tagErrors({ ...emptyTagForm(), name }).name).toMatch(words);
  });

  it('accepts a name with spaces', () => {
    expect(tagErrors({ ...emptyTagForm(), name: 'Finance 2.0' })).toEqual({});
  });
});

describe('a predicate that was tried', () => {
  const result = { error: null, tried: 40, matching: 2, examples: ['a', 'b'] };
  it('says for whom it holds', () => {
    expect(describeTrial(result)).toBe('Matches 2 of 40 Macs: a, b.');
    expect(describeTrial({ ...result, matching: 9 })).toBe(
      'Matches 9 of 40 Macs: a, b and others.',
    );
    expect(describeTrial({ ...result, matching: 0, examples: [] })).toBe('Matches 0 of 40 Macs.');
    expect(describeTrial({ ...result, tried: 0, examples: [] })).toContain('no Macs yet');
  });
});

it('says how Macs become members', () => {
  const tag = { predicate: 'true', groups: ['a', 'b'], enrollments: [1] };
  expect(describeSources(tag)).toBe('manual, 1 enrollment, 2 directory groups, expression');
  expect(describeSources({ predicate: null, groups: [], enrollments: [] })).toBe('manual');
});
