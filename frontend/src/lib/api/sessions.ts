// Logins that have not ended: one's own, and those of others.
import { api, unwrap, type CallOptions } from './client.ts';
import type { Session } from './types.ts';

/** The own sessions, those used last first. */
export async function listSessions(options: CallOptions = {}): Promise<Session[]> {
  return (await unwrap(api.GET('/api/v1/sessions', options))).items;
}

export async function endSession(id: Session['id']): Promise<void> {
  await unwrap(
    api.DELETE('/api/v1/sessions/{session_id}', { params: { path: { session_id: id } } }),
  );
}

/** Ends the sessions of a user, or one's own, except the one that asks; returns how many. */
export async function endSessions(username?: string): Promise<number> {
  const query = username === undefined ? {} : { username };
  return (await unwrap(api.DELETE('/api/v1/sessions', { params: { query } }))).ended;
}
