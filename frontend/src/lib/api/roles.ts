// Roles: those that come with the program, and custom ones.
import { api, ifMatch, unwrap, type CallOptions } from './client.ts';
import type { RoleCreate, RoleInfo, RoleList, RoleUpdate } from './types.ts';

export function listRoles(options: CallOptions = {}): Promise<RoleList> {
  return unwrap(api.GET('/api/v1/roles', { ...options }));
}

export function createRole(wanted: RoleCreate): Promise<RoleInfo> {
  return unwrap(api.POST('/api/v1/roles', { body: wanted }));
}

type RoleVersion = { id: number; etag: string };

export function changeRole(role: RoleVersion, patch: RoleUpdate): Promise<RoleInfo> {
  const params = { path: { role_id: role.id }, header: ifMatch(role) };
  return unwrap(api.PATCH('/api/v1/roles/{role_id}', { params, body: patch }));
}

export async function removeRole(role: RoleVersion): Promise<void> {
  const params = { path: { role_id: role.id }, header: ifMatch(role) };
  await unwrap(api.DELETE('/api/v1/roles/{role_id}', { params }));
}
