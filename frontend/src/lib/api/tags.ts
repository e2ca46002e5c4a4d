// Tags: named sets of Macs whose rules and settings override the global ones.
import { api, unwrap, type CallOptions } from './client.ts';
import type {
  Page,
  Position,
  PredicateResult,
  Tag,
  TagContent,
  TagMember,
  TagOrderImpact,
} from './types.ts';

/** All tags, the lowest first. */
export function listTags(options: CallOptions = {}): Promise<Tag[]> {
  return unwrap(api.GET('/api/v1/tags', options));
}

export function readTag(id: Tag['id'], options: CallOptions = {}): Promise<Tag> {
  return unwrap(api.GET('/api/v1/tags/{tag_id}', { params: { path: { tag_id: id } }, ...options }));
}

export function createTag(tag: TagContent, reason = ''): Promise<Tag> {
  return unwrap(api.POST('/api/v1/tags', { body: { ...tag, reason } }));
}

export function changeTag(id: Tag['id'], tag: TagContent, reason = ''): Promise<Tag> {
  const params = { path: { tag_id: id } };
  return unwrap(api.PUT('/api/v1/tags/{tag_id}', { params, body: { ...tag, reason } }));
}

/** Removes a tag with the rules and settings of its layer. */
export async function removeTag(id: Tag['id']): Promise<void> {
  await unwrap(api.DELETE('/api/v1/tags/{tag_id}', { params: { path: { tag_id: id } } }));
}

/** The effect of another order; `tags` from the lowest. */
export function orderImpact(tags: Tag['id'][], options: CallOptions = {}): Promise<TagOrderImpact> {
  return unwrap(api.POST('/api/v1/tags/order/impact', { body: { tags }, ...options }));
}

export function orderTags(tags: Tag['id'][], reason = ''): Promise<Tag[]> {
  return unwrap(api.PUT('/api/v1/tags/order', { body: { tags, reason } }));
}

export function tryPredicate(predicate: string): Promise<PredicateResult> {
  return unwrap(api.POST('/api/v1/tags/predicate', { body: { predicate } }));
}

export function listMembers(
  id: Tag['id'],
  position: Position,
  options: CallOptions = {},
): Promise<Page<TagMember>> {
  const params = { path: { tag_id: id }, query: position };
  return unwrap(api.GET('/api/v1/tags/{tag_id}/members', { params, ...options }));
}

export async function addMember(id: Tag['id'], machineId: string): Promise<void> {
  const params = { path: { tag_id: id, machine_id: machineId } };
  await unwrap(api.PUT('/api/v1/tags/{tag_id}/members/{machine_id}', { params }));
}

export async function removeMember(id: Tag['id'], machineId: string): Promise<void> {
  const params = { path: { tag_id: id, machine_id: machineId } };
  await unwrap(api.DELETE('/api/v1/tags/{tag_id}/members/{machine_id}', { params }));
}
