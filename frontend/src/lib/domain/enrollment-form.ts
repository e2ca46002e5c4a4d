// The enrollment form without its components: initial values, validation, and the request. Pure.
import type { Enrollment, EnrollmentCreate, EnrollmentState } from '../api/types.ts';
import { certificateTerms, quotaIn, type EnrollmentTermsForm } from './enrollment-terms.ts';
import { fromLocalInput } from './local-time.ts';
import type { Tone } from '../ui/tone.ts';

/** Field names are those of the API, so that errors of the server are matched by name. */
interface EnrollmentForm extends EnrollmentTermsForm {
  /** One to a line, or separated by commas. */
  serial_allowlist: string;
  /** Addresses and networks, one to a line or separated by commas. */
  networks: string;
  /** Names of tags, separated by commas. */
  tags: string;
}

export const STATE_KINDS: Readonly<
  Record<EnrollmentState, { label: string; tone: Tone; help: string }>
> = {
  active: { label: 'Active', tone: 'ok', help: 'Macs can enroll and sync with it.' },
  full: {
    label: 'Full',
    tone: 'warn',
    help: 'The machine limit is reached; enrolled Macs keep syncing.',
  },
  expired: { label: 'Expired', tone: 'neutral', help: 'Its secret no longer works.' },
  revoked: { label: 'Revoked', tone: 'danger', help: 'Its secret no longer works.' },
};

export function emptyEnrollmentForm(): EnrollmentForm {
  return {
    label: '',
    quota: '',
    serial_allowlist: '',
    tags: '',
    expires_at: '',
    networks: '',
    client_certificate: false,
    certificate_serial: false,
    reenroll_retired: false,
  };
}

export function serialsIn(text: string): string[] {
  return text
    .split(/[\s,;]+/)
    .map((serial) => serial.toUpperCase())
    .filter((serial) => serial !== '');
}

export function networksIn(text: string): string[] {
  return text.split(/[\s,;]+/).filter((network) => network !== '');
}

export function tagsIn(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

export function toEnrollmentCreate(form: EnrollmentForm): EnrollmentCreate {
  const serials = serialsIn(form.serial_allowlist);
  return {
    label: form.label.trim(),
    quota: quotaIn(form.quota),
    serial_allowlist: serials.length > 0 ? serials : null,
    expires_at: fromLocalInput(form.expires_at),
    ...certificateTerms(form),
    networks: networksIn(form.networks),
    reenroll_retired: form.reenroll_retired,
    tags: tagsIn(form.tags),
  };
}

/** Whether a Mac may still sync with it. */
export function isUsable(enrollment: Pick<Enrollment, 'state'>): boolean {
  return enrollment.state === 'active' || enrollment.state === 'full';
}
