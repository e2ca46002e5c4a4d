// Layers by name. Pure.
import type { Layer } from '../api/types.ts';
import { reported } from './reported.ts';

export type LayerKind = Layer['kind'];

export const LAYER_KINDS: Readonly<Record<LayerKind, { label: string; help: string }>> = {
  global: { label: 'Every machine', help: 'The lowest layer: every other layer can override it.' },
  tag: { label: 'A tag', help: 'For its members. Wins over the global layer and lower tags.' },
  user: { label: 'A user', help: 'For Macs with this primary user. Wins over all tags.' },
  machine: { label: 'One machine', help: 'For this Mac only. Wins over everything else.' },
};

export const LAYER_ORDER = Object.keys(LAYER_KINDS) as LayerKind[];

interface LayerParts {
  kind: LayerKind;
  /** The tag's or user's name, or the machine's id; empty for the global layer. */
  owner: string;
}

/** `tag:NAME` as kind and owner; an invalid name counts as global. */
export function layerParts(layer: string): LayerParts {
  const colon = layer.indexOf(':');
  const kind = LAYER_ORDER.find((known) => known === layer.slice(0, colon));
  if (!kind || kind === 'global') return { kind: 'global', owner: '' };
  return { kind, owner: layer.slice(colon + 1) };
}

export function layerName({ kind, owner }: LayerParts): string {
  return kind === 'global' ? kind : `${kind}:${owner}`;
}

/** The kinds of layers to choose from; those of users and all Macs need a permission without limits. */
export function layerKinds(
  limits: readonly string[] | undefined,
  present: LayerKind,
): readonly LayerKind[] {
  if (!limits) return LAYER_ORDER;
  return LAYER_ORDER.filter((kind) => kind === 'tag' || kind === 'machine' || kind === present);
}

/** The layer that a new form begins with. */
export function firstLayer(limits: readonly string[] | undefined): string {
  if (!limits) return 'global';
  return layerName({ kind: 'tag', owner: limits.length === 1 ? (limits[0] ?? '') : '' });
}

/** What is missing in a layer's name, or nothing. */
export function layerError(layer: string): string | null {
  const { kind, owner } = layerParts(layer);
  if (kind === 'global' || owner.trim() !== '') return null;
  if (kind === 'tag') return 'Choose a tag.';
  return kind === 'user' ? 'Enter a user name.' : 'Choose a machine.';
}

/** A layer for people: "Every machine", "Tag finance". */
export function describeLayer(layer: string): string {
  const { kind, owner } = layerParts(layer);
  if (kind === 'global') return LAYER_KINDS.global.label;
  if (kind === 'machine') return `Machine ${reported(owner)}`;
  return `${kind === 'tag' ? 'Tag' : 'User'} ${reported(owner)}`;
}
