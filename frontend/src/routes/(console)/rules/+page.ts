import { layersWithin, listLayers } from '#lib/api/layers.ts';
import { listRules } from '#lib/api/rules.ts';
import { RULE_TYPES } from '#lib/domain/identifiers.ts';
import { POLICIES } from '#lib/domain/policies.ts';
import { choiceParam, textParam } from '#lib/domain/url-state.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ url, fetch, parent }) => {
  const { user } = await parent(); // no requests before the login is checked
  const filters = {
    q: textParam(url.searchParams, 'q'),
    rule_type: choiceParam(url.searchParams, 'rule_type', RULE_TYPES),
    policy: choiceParam(url.searchParams, 'policy', POLICIES),
    layer: textParam(url.searchParams, 'layer'),
  };
  const list = new PagedList({
    read: (position) => listRules(filters, position, { fetch }),
    key: (rule) => rule.id,
  });
  const layers = new Resource(() => listLayers({ fetch }));
  /** The layers whose rules this user may change, for one who may change only some. */
  const within = user.scopes['rule:write']
    ? new Resource(() => layersWithin('rule:write', { fetch }))
    : undefined;
  await briefly(Promise.all([list.first, layers.first, within?.first]));
  return { title: 'Rules', filters, list, layers, within };
};
