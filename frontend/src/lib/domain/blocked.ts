// Why a program was blocked, for the Mac's user, without technical terms. Pure.
import type { BlockedProgram, Contact } from '../api/types.ts';
import { reported } from './reported.ts';

type Cause = NonNullable<BlockedProgram['cause']>;

const REASONS: Readonly<Record<Cause, string>> = {
  unknown:
    'Only approved programs may run on this Mac, and nobody has approved this one yet. That does not mean that it is harmful.',
  file: 'Your organization has blocked exactly this file.',
  build: 'Your organization has blocked this version of the program.',
  app: 'Your organization has blocked this app.',
  developer: 'Your organization has blocked all programs from this developer.',
  certificate: 'Your organization has blocked all programs with this signature.',
  path: 'Programs in this folder are not allowed to run.',
  other: 'Your organization’s policy has blocked it.',
};

/** The text when nothing is known about the program, or the request failed. */
export const NOTHING_KNOWN =
  'Either your organization has blocked it, or nobody has approved it yet. The message on your Mac has the details.';

export function blockedReason(cause: BlockedProgram['cause'] | undefined): string {
  return cause ? REASONS[cause] : NOTHING_KNOWN;
}

/** The SHA-256 in an address such as `/blocked/SHA256`, at any place. */
export function fingerprintIn(path: string): string | undefined {
  return path
    .split('/')
    .find((part) => /^[0-9a-f]{64}$/i.test(part))
    ?.toLowerCase();
}

/** The text for the help desk. */
export function blockedSummary(
  program: BlockedProgram | null,
  fingerprint: string | undefined,
): string {
  return [
    'A program was blocked on my Mac.',
    program?.name && `Program: ${reported(program.name)}`,
    program?.publisher && `Publisher: ${reported(program.publisher)}`,
    fingerprint && `SHA-256: ${fingerprint}`,
    'Why I need it: ',
  ]
    .filter(Boolean)
    .join('\n');
}

/** The contact's address as shown: without `mailto:`, otherwise unchanged. */
export function contactLabel(url: string): string {
  const mail = /^mailto:([^?]*)/i.exec(url)?.[1];
  return mail === undefined ? url : decoded(mail);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Errors of a contact, by field. */
export function contactErrors({ url }: Pick<Contact, 'url'>): Partial<Record<string, string>> {
  const right =
    /^(?:https:\/\/[^\s/?#\\@]+(?:[/?#][^\s\\]*)?|mailto:[^\s?@:/\\]+@[^\s?@:/\\]+(?:\?[^\s\\]*)?)?$/i;
  return right.test(url.trim())
    ? {}
    : { url: 'Enter an address that begins with https:// or mailto:.' };
}
