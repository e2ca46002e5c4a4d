import { blockedContact } from '#lib/api/blocked.ts';
import type { CallOptions } from '#lib/api/client.ts';
import { listLayers } from '#lib/api/layers.ts';
import { listMachineTags } from '#lib/api/machines.ts';
import { readLayerSettings, readSettings } from '#lib/api/settings.ts';
import { textParam } from '#lib/domain/url-state.ts';
import { firstLayer, layerParts } from '#lib/domain/layers.ts';
import { GLOBAL_LAYER } from '#lib/domain/policies.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ url, fetch, parent }) => {
  const { user } = await parent(); // no requests before the login is checked
  const readable = user.scopes['settings:read']?.slice(0, 1);
  const layer = textParam(url.searchParams, 'layer') ?? firstLayer(readable);
  const layers = new Resource(() => listLayers({ fetch }));
  const settings = layer === GLOBAL_LAYER ? new Resource(() => readSettings({ fetch })) : undefined;
  const own = settings ? undefined : new Resource(() => readLayerSettings(layer, { fetch }));
  const contact = settings && new Resource(() => blockedContact({ fetch }));
  const tags = new Resource(() => tagsOf(layer, { fetch }));
  await briefly(
    Promise.all([settings?.first, own?.first, contact?.first, layers.first, tags.first]),
  );
  return { title: 'Settings', layer, layers, settings, own, contact, tags };
};

/** The tags of what a layer belongs to: a permission for one of them reaches the layer. */
async function tagsOf(layer: string, options: CallOptions): Promise<string[]> {
  const { kind, owner } = layerParts(layer);
  if (kind === 'machine') return (await listMachineTags(owner, options)).map((tag) => tag.name);
  return kind === 'tag' ? [owner] : [];
}
