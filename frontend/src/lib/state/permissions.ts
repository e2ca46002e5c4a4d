// What the logged-in user may do, to show only that. The server checks it again.
import type { Permission, User } from '../api/types.ts';
import { roleName } from '../domain/roles.ts';

type Holder = Pick<User, 'permissions' | 'scopes'>;

/** Whether a user has a permission, everywhere or for some tags. */
export function may(user: Holder, permission: Permission): boolean {
  return user.permissions.includes(permission);
}

/** Whether a user has a permission everywhere, as what concerns the whole fleet requires. */
export function mayEverywhere(user: Holder, permission: Permission): boolean {
  return may(user, permission) && user.scopes[permission] === undefined;
}

/** Whether a user has a permission for what has one of these tags. */
export function mayWithTags(
  user: Holder,
  permission: Permission,
  tags: readonly string[],
): boolean {
  if (!may(user, permission)) return false;
  const limits = user.scopes[permission];
  if (limits === undefined) return true;
  const wanted = new Set(tags.map((tag) => tag.toLowerCase()));
  return limits.some((tag) => wanted.has(tag.toLowerCase()));
}

const TITLES: Record<NonNullable<User['role']>, string> = {
  admin: 'Administrator',
  operator: 'Operator',
  approver: 'Approver',
  auditor: 'Auditor',
  viewer: 'Viewer',
  requester: 'Requester',
};

/** A user's strongest role in words, and whether it is limited to tags. */
export function roleTitle(user: Pick<User, 'role' | 'roles'>): string {
  if (user.role === null) return user.roles.map(roleName).join(', ') || 'No role';
  const held = user.roles.filter((grant) => grant.role === user.role);
  if (held.some((grant) => grant.tag === null)) return TITLES[user.role];
  return `${TITLES[user.role]} for ${held.map((grant) => grant.tag).join(', ')}`;
}
