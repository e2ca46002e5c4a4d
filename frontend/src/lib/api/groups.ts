// Groups of users, their members and roles.
import { api, ifMatch, unwrap, type CallOptions } from './client.ts';
import type {
  EnvironmentRole,
  Group,
  GroupCreate,
  GroupMember,
  GroupUpdate,
  Page,
  Position,
} from './types.ts';

export function listGroups(
  query: Position & { q?: string },
  options: CallOptions = {},
): Promise<Page<Group>> {
  return unwrap(api.GET('/api/v1/groups', { params: { query }, ...options }));
}

export function createGroup(wanted: GroupCreate): Promise<Group> {
  return unwrap(api.POST('/api/v1/groups', { body: wanted }));
}

type GroupVersion = Pick<Group, 'id' | 'etag'>;

export function changeGroup(group: GroupVersion, patch: GroupUpdate): Promise<Group> {
  const params = { path: { group_id: group.id }, header: ifMatch(group) };
  return unwrap(api.PATCH('/api/v1/groups/{group_id}', { params, body: patch }));
}

export async function removeGroup(group: GroupVersion): Promise<void> {
  const params = { path: { group_id: group.id }, header: ifMatch(group) };
  await unwrap(api.DELETE('/api/v1/groups/{group_id}', { params }));
}

export function listMembers(id: Group['id'], query: Position): Promise<Page<GroupMember>> {
  const params = { path: { group_id: id }, query };
  return unwrap(api.GET('/api/v1/groups/{group_id}/members', { params }));
}

export async function addMember(id: Group['id'], user: number): Promise<void> {
  const params = { path: { group_id: id, user_id: user } };
  await unwrap(api.PUT('/api/v1/groups/{group_id}/members/{user_id}', { params }));
}

export async function removeMember(id: Group['id'], user: number): Promise<void> {
  const params = { path: { group_id: id, user_id: user } };
  await unwrap(api.DELETE('/api/v1/groups/{group_id}/members/{user_id}', { params }));
}

/** What `OIDC_GROUP_ROLES` gives to groups of the identity provider. */
export async function environmentRoles(options: CallOptions = {}): Promise<EnvironmentRole[]> {
  const { items } = await unwrap(api.GET('/api/v1/groups/environment', { ...options }));
  return items;
}
