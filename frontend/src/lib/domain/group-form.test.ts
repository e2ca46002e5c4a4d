import { describe, expect, it } from 'vitest';
import { emptyGroupForm, groupErrors, toGroupCreate, toGroupUpdate } from './group-form.ts';

const form = { ...emptyGroupForm(), name: 'Lab' };

describe('groups', () => {
  it('have an id at the identity provider unless they are local', () => {
    expect(toGroupCreate({ ...form, external_id: 'left over' }).external_id).toBeNull();
    const claim = { ...form, source: 'claim' as const };
    expect(groupErrors(claim)).toHaveProperty('external_id');
    expect(toGroupCreate({ ...claim, external_id: ' 4711 ' }).external_id).toBe('4711');
  });

  it('need a name', () => {
    expect(groupErrors(emptyGroupForm())).toHaveProperty('name');
    expect(groupErrors(form)).toEqual({});
  });

  it('send only what was changed', () => {
    expect(toGroupUpdate(form, form)).toEqual({});
    const roles = [{ role: 'operator', tag: 'lab' }];
    expect(toGroupUpdate({ ...form, roles }, form)).toEqual({ roles });
    const scim = { ...form, source: 'scim' as const, external_id: 'x' };
    expect(toGroupUpdate({ ...scim, external_id: 'y', description: 'd' }, scim)).toEqual({
      description: 'd',
    });
  });
});
