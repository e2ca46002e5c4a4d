// Reads what /api/v1/live sends. Unknown kinds are ignored, so that a newer server may send more.
import type { LiveMessage } from '../api/types.ts';

export type { LiveMessage };

/** A message after which pages reload, as if the server had sent it. */
export function lagged(): LiveMessage {
  return { type: 'lagged', at: new Date().toISOString(), lost: null };
}

/** Reads one text frame; null when it is not one of the known messages. */
export function parseLiveMessage(text: string): LiveMessage | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  return isComplete(value) ? (value as unknown as LiveMessage) : null;
}

/** Whether the required fields are present. */
function isComplete(message: Record<string, unknown>): boolean {
  switch (message['type']) {
    case 'lagged':
      return true;
    case 'hello':
      return typeof message['process'] === 'string';
    case 'syncs':
      return typeof message['changed'] === 'number';
    case 'machine':
    case 'sync':
      return typeof message['machine_id'] === 'string';
    case 'event':
      return isObject(message['event']) || typeof message['count'] === 'number';
    case 'rule':
      return typeof message['action'] === 'string' && isObject(message['rule']);
    default:
      return false;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
