// The secrets of an enrollment in words. Pure.
import type { Enrollment, EnrollmentSecret, RefusalReason } from '../api/types.ts';
import { plural } from './format.ts';
import { fromLocalInput, toLocalInput } from './local-time.ts';

const REASONS: Readonly<Record<RefusalReason, string>> = {
  revoked: 'the enrollment was revoked',
  expired: 'the enrollment has expired',
  replaced: 'the secret was replaced',
  network: 'the address is in none of its networks',
  certificate: 'no client certificate',
  certificate_serial: 'the certificate does not contain the serial number',
  serial: 'the serial number is not listed',
  quota: 'the machine limit is reached',
};

/** Why requests with a secret were refused; the newest reason. */
export function reasonWords(reason: RefusalReason): string {
  return REASONS[reason];
}

/** Macs that still show a previous secret, and the refused requests of all secrets. */
export function secretCounts({ secrets }: Pick<Enrollment, 'secrets'>) {
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return {
    previous: sum(secrets.filter((one) => !one.current).map((one) => one.machines)),
    refused: sum(secrets.map((one) => one.refused?.count ?? 0)),
  };
}

export function isValid(secret: EnrollmentSecret, now: number): boolean {
  return secret.valid_until === null || Date.parse(secret.valid_until) > now;
}

export function networksWords(networks: readonly string[]): string {
  return networks.length === 0 ? 'any address' : networks.join(', ');
}

export function machinesWords(secret: EnrollmentSecret): string {
  return secret.machines === 0
    ? 'No Mac uses it'
    : plural(secret.machines, 'Mac uses it', 'Macs use it');
}

/** How long the present secret goes on working unless another time is chosen. */
const USUAL_DAYS = 30;
const LONGEST_DAYS = 180;
const DAY = 24 * 60 * 60 * 1000;

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface RotationForm {
  /** As the browser's input has it; empty: it ends at once. */
  previous_valid_until: string;
}

export function emptyRotation(now: number): RotationForm {
  const until = new Date(now + USUAL_DAYS * DAY).toISOString();
  return { previous_valid_until: toLocalInput(until) };
}

export function rotationErrors(form: RotationForm, now: number): Partial<RotationForm> {
  if (form.previous_valid_until === '') return {};
  const until = Date.parse(form.previous_valid_until);
  return until > now && until <= now + LONGEST_DAYS * DAY
    ? {}
    : {
        previous_valid_until: `Choose a time in the next ${LONGEST_DAYS} days, or leave it empty.`,
      };
}

export function toRotation(form: RotationForm) {
  return { previous_valid_until: fromLocalInput(form.previous_valid_until), networks: null };
}
