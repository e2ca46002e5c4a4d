import { blockedContact } from '#lib/api/blocked.ts';
import { listLayers } from '#lib/api/layers.ts';
import { readLayerSettings, readSettings } from '#lib/api/settings.ts';
import { textParam } from '#lib/domain/url-state.ts';
import { GLOBAL_LAYER } from '#lib/domain/policies.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ url, fetch, parent }) => {
  const { user } = await parent(); // no requests before the login is checked
  const tag = user.scopes['settings:read']?.[0];
  const layer =
    textParam(url.searchParams, 'layer') ?? (tag === undefined ? GLOBAL_LAYER : `tag:${tag}`);
  const layers = new Resource(() => listLayers({ fetch }));
  const settings = layer === GLOBAL_LAYER ? new Resource(() => readSettings({ fetch })) : undefined;
  const own = settings ? undefined : new Resource(() => readLayerSettings(layer, { fetch }));
  const contact = settings && new Resource(() => blockedContact({ fetch }));
  await briefly(Promise.all([settings?.first, own?.first, contact?.first, layers.first]));
  return { title: 'Settings', layer, layers, settings, own, contact };
};
