// The form for an API token: initial values, validation, the request. Pure.
import type { Permission, ScimTokenCreate, Token, TokenCreate } from '../api/types.ts';

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface TokenForm {
  name: string;
  permissions: Permission[];
  tags: string;
  networks: string;
  days: number;
}

type TokenErrors = Partial<Record<keyof TokenForm, string>>;

const DAY = 24 * 60 * 60 * 1000;

export const LIFETIMES = [7, 30, 90, 180, 365] as const;

/** No token may have these. */
const NEVER: readonly string[] = ['user:write', 'session:write'];

export function emptyTokenForm(): TokenForm {
  return { name: '', permissions: [], tags: '', networks: '', days: 90 };
}

/** What a token may be given, of what its maker sees. */
export function tokenPermissions(permissions: readonly Permission[]): Permission[] {
  return permissions.filter((permission) => !NEVER.includes(permission));
}

export function tokenErrors(form: TokenForm): TokenErrors {
  const errors: TokenErrors = {};
  if (form.name.trim() === '') errors.name = 'Enter a name.';
  if (form.permissions.length === 0) errors.permissions = 'Choose at least one.';
  return errors;
}

/** The request; `owner` is a service account, null is oneself, `now` in milliseconds. */
export function toTokenCreate(form: TokenForm, owner: number | null, now: number): TokenCreate {
  const tags = words(form.tags, /,/);
  return {
    name: form.name.trim(),
    user_id: owner,
    permissions: form.permissions,
    tags: tags.length > 0 ? tags : null,
    networks: words(form.networks, /[\s,]+/),
    expires_at: new Date(now + form.days * DAY).toISOString(),
  };
}

/** The form for a SCIM token. */
export type ScimTokenForm = Pick<TokenForm, 'name' | 'networks' | 'days'>;

export function emptyScimTokenForm(): ScimTokenForm {
  return { name: '', networks: '', days: 365 };
}

export function scimTokenErrors(form: ScimTokenForm): TokenErrors {
  return form.name.trim() === '' ? { name: 'Enter a name.' } : {};
}

export function toScimTokenCreate(form: ScimTokenForm, now: number): ScimTokenCreate {
  return {
    name: form.name.trim(),
    networks: words(form.networks, /[\s,]+/),
    expires_at: new Date(now + form.days * DAY).toISOString(),
  };
}

/** How long the present secret works after a rotation, in hours. */
export const OVERLAPS = [
  { hours: 0, label: 'ends at once' },
  { hours: 1, label: 'works for another hour' },
  { hours: 24, label: 'works for another day' },
  { hours: 24 * 7, label: 'works for another 7 days' },
] as const;

export function overlapEnd(hours: number, now: number): string | null {
  return hours > 0 ? new Date(now + hours * 60 * 60 * 1000).toISOString() : null;
}

export function tokenState(
  token: Pick<Token, 'expires_at'> & Partial<Pick<Token, 'owner_disabled'>>,
  now: number,
): 'valid' | 'expired' | 'owner disabled' {
  if (Date.parse(token.expires_at) <= now) return 'expired';
  return token.owner_disabled ? 'owner disabled' : 'valid';
}

function words(text: string, separator: RegExp): string[] {
  return text
    .split(separator)
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
