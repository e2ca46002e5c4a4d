// Errors of API calls: RFC 9457 problem documents, other bodies, or no response at all.
// Independent of pages. Texts are written for users; next: client.ts.
import type { ChangeNote } from './types.ts';

/** Why a change was refused: the object is not the version that was edited. */
export interface Stale {
  current: unknown;
  /** The latest first. */
  changes: readonly ChangeNote[];
}

/** A failed API call. `status` is 0 when no response arrived. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly status: number,
    /** What went wrong, in a few words. */
    readonly title: string,
    /** The server's explanation, or what to do about it. */
    readonly detail: string = '',
    /** Messages by input field, from a refused form. */
    readonly fields: Readonly<Record<string, string>> = {},
    /** With 412: the object as someone else has left it, and these changes. */
    readonly stale: Stale | null = null,
    /** What programs tell it by; empty for most. */
    readonly code: string = '',
  ) {
    super(detail || title);
  }
}

/** The message for a whole form: nothing when its fields show it already. */
export function formMessage(error: Pick<ApiError, 'fields' | 'message'>, form: object): string {
  return Object.keys(error.fields).some((field) => field in form) ? '' : error.message;
}

const FALLBACK: Readonly<Record<number, readonly [string, string]>> = {
  0: ['The server did not answer', 'Check the connection; the console retries automatically.'],
  401: ['You are not logged in', 'Log in again to continue.'],
  403: ['You are not allowed to do this', 'Ask an administrator.'],
  404: ['Not found', 'It may have been removed in the meantime.'],
  409: ['This conflicts with existing data', ''],
  412: ['Someone else has changed this', 'Look at it again, then repeat your change.'],
  422: ['The server refused the input', ''],
  429: ['Too many requests', 'Wait a moment, then try again.'],
  502: ['The backend is not available', 'It may be restarting; try again in a moment.'],
  503: ['The backend is not available', 'It may be restarting; try again in a moment.'],
  504: ['The backend took too long', 'Try again in a moment.'],
};

/** The error for a response with a failing status; `body` is its parsed JSON, its text, or nothing. */
export function errorFromResponse(status: number, body: unknown): ApiError {
  const [title, advice] = FALLBACK[status] ?? [`The server answered with status ${status}`, ''];
  if (!isRecord(body)) return new ApiError(status, title, advice);
  const known = status in FALLBACK ? title : text(body['title']) || title;
  if (isRecord(body['confirm'])) return new ApiError(status, 'Not saved', 'Nothing was changed.');
  const detail = text(body['detail']) || advice;
  const fields = fieldMessages(body['errors']);
  return new ApiError(status, known, detail, fields, staleness(body), text(body['code']));
}

/** The object as it is now, when that is why a change was refused. */
export function currentAfter<T>(thrown: unknown): T | null {
  return thrown instanceof ApiError && thrown.stale ? (thrown.stale.current as T) : null;
}

function staleness(body: Readonly<Record<string, unknown>>): Stale | null {
  if (!isRecord(body['current'])) return null;
  const changes = Array.isArray(body['changes']) ? body['changes'] : [];
  return { current: body['current'], changes: changes.filter(isRecord) as unknown as ChangeNote[] };
}

/** The error for anything that a call threw: an ApiError unchanged, a lost connection as status 0. */
export function asApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof TypeError) {
    const [title, advice] = FALLBACK[0] as readonly [string, string];
    return new ApiError(0, title, advice); // fetch reports a lost connection as a TypeError
  }
  return new ApiError(0, 'Something went wrong in the console', String(thrown));
}

/** `errors: [{field, message}]` as messages by field; the first one for each counts. */
function fieldMessages(errors: unknown): Record<string, string> {
  const messages: Record<string, string> = {};
  for (const entry of Array.isArray(errors) ? errors : []) {
    if (!isRecord(entry)) continue;
    const field = text(entry['field']);
    const message = text(entry['message']);
    if (field && message && !(field in messages)) messages[field] = message;
  }
  return messages;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
