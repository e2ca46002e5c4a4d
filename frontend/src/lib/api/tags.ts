// Tags: named sets of Macs whose rules and settings override the global ones.
import { api, ifMatch, unwrap, type CallOptions } from './client.ts';
import type {
  Page,
  Position,
  PredicateResult,
  Tag,
  TagContent,
  TagMember,
  TagOrder,
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

type TagVersion = Pick<Tag, 'id' | 'etag'>;

export function changeTag(tag: TagVersion, content: TagContent, reason: string): Promise<Tag> {
  const params = { path: { tag_id: tag.id }, header: ifMatch(tag) };
  return unwrap(api.PUT('/api/v1/tags/{tag_id}', { params, body: { ...content, reason } }));
}

/** Removes a tag with the rules and settings of its layer. */
export async function removeTag(tag: TagVersion, reason: string): Promise<void> {
  const params = { path: { tag_id: tag.id }, query: { reason }, header: ifMatch(tag) };
  await unwrap(api.DELETE('/api/v1/tags/{tag_id}', { params }));
}

/** The effect of another order; `tags` from the lowest. */
export function orderImpact(tags: Tag['id'][], options: CallOptions = {}): Promise<TagOrderImpact> {
  return unwrap(api.POST('/api/v1/tags/order/impact', { body: { tags }, ...options }));
}

export function readOrder(): Promise<TagOrder> {
  return unwrap(api.GET('/api/v1/tags/order'));
}

/** Puts tags that are in the order `seen` into another one. */
export function orderTags(tags: Tag['id'][], seen: TagOrder, reason: string): Promise<Tag[]> {
  const params = { header: ifMatch(seen) };
  return unwrap(api.PUT('/api/v1/tags/order', { params, body: { tags, reason } }));
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

/** Adds a Mac that the page does not show yet. */
export async function addMember(id: Tag['id'], machineId: string, reason: string): Promise<void> {
  const path = { tag_id: id, machine_id: machineId };
  const present = await unwrap(
    api.GET('/api/v1/tags/{tag_id}/members/{machine_id}', { params: { path } }),
  );
  const params = { path, query: { reason }, header: ifMatch(present) };
  await unwrap(api.PUT('/api/v1/tags/{tag_id}/members/{machine_id}', { params }));
}

export async function removeMember(
  id: Tag['id'],
  member: TagMember,
  reason: string,
): Promise<void> {
  const path = { tag_id: id, machine_id: member.machine_id };
  const params = { path, query: { reason }, header: ifMatch(member) };
  await unwrap(api.DELETE('/api/v1/tags/{tag_id}/members/{machine_id}', { params }));
}
