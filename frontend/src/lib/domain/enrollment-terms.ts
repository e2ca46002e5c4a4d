// What can be changed of an enrollment, without its components: initial values, validation, and the request. Pure.
import type { Enrollment, EnrollmentPatch } from '../api/types.ts';
import { exactTime } from './format.ts';
import { fromLocalInput, toLocalInput } from './local-time.ts';

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface EnrollmentTermsForm {
  label: string;
  quota: string;
  /** A date and time as the browser's input has it, in the reader's time zone. */
  expires_at: string;
  client_certificate: boolean;
  /** Has no effect without the one above. */
  certificate_serial: boolean;
  reenroll_retired: boolean;
}

type TermErrors = Partial<Record<keyof EnrollmentTermsForm, string>>;

const LABELS: Readonly<Record<keyof EnrollmentTermsForm, string>> = {
  label: 'Label',
  quota: 'Machine limit',
  expires_at: 'Expires',
  client_certificate: 'Require a client certificate',
  certificate_serial: 'Serial number in the certificate',
  reenroll_retired: 'Take retired Macs back',
};

export function formFromEnrollment(enrollment: Enrollment): EnrollmentTermsForm {
  return {
    label: enrollment.label,
    quota: enrollment.quota === null ? '' : String(enrollment.quota),
    expires_at: toLocalInput(enrollment.expires_at),
    client_certificate: enrollment.client_certificate,
    certificate_serial: enrollment.certificate_serial,
    reenroll_retired: enrollment.reenroll_retired,
  };
}

/** The two fields about certificates as they take effect. */
export function certificateTerms(
  form: Pick<EnrollmentTermsForm, 'client_certificate' | 'certificate_serial'>,
) {
  const { client_certificate } = form;
  return { client_certificate, certificate_serial: client_certificate && form.certificate_serial };
}

/** Errors by field; `now` in milliseconds. An expiry that stays is none, even if it has passed. */
export function termErrors(
  form: EnrollmentTermsForm,
  saved: Pick<EnrollmentTermsForm, 'expires_at'> | null,
  now: number,
): TermErrors {
  const errors: TermErrors = {};
  if (form.label.trim() === '') errors.label = 'Enter a label.';
  if (form.quota.trim() !== '' && !/^[1-9]\d{0,8}$/.test(form.quota.trim())) {
    errors.quota = 'Enter a whole number of Macs, or leave it empty.';
  }
  const stays = form.expires_at === saved?.expires_at;
  if (form.expires_at !== '' && !stays && !(Date.parse(form.expires_at) > now)) {
    errors.expires_at = 'Choose a time in the future, or leave it empty.';
  }
  return errors;
}

export function quotaIn(text: string): number | null {
  return text.trim() === '' ? null : Number(text);
}

/** Only what differs: an input has no seconds, so an expiry that stays is not sent. */
export function toEnrollmentPatch(
  form: EnrollmentTermsForm,
  saved: EnrollmentTermsForm,
): EnrollmentPatch {
  const certificates = certificateTerms(form);
  return {
    ...(form.label.trim() !== saved.label ? { label: form.label.trim() } : {}),
    ...(form.quota.trim() !== saved.quota ? { quota: quotaIn(form.quota) } : {}),
    ...(form.expires_at !== saved.expires_at
      ? { expires_at: fromLocalInput(form.expires_at) }
      : {}),
    ...(certificates.client_certificate !== saved.client_certificate
      ? { client_certificate: certificates.client_certificate }
      : {}),
    ...(certificates.certificate_serial !== saved.certificate_serial
      ? { certificate_serial: certificates.certificate_serial }
      : {}),
    ...(form.reenroll_retired !== saved.reenroll_retired
      ? { reenroll_retired: form.reenroll_retired }
      : {}),
  };
}

export function termLabel(field: string): string {
  return LABELS[field as keyof EnrollmentTermsForm] ?? field;
}

/** A field's value in words, for the comparison with what someone else has stored. */
export function termWords(field: string, value: unknown): string {
  if (typeof value === 'boolean') return value ? 'Yes' : 'No';
  const text = String(value ?? '');
  if (field === 'expires_at' && text) return exactTime(fromLocalInput(text) ?? text);
  return text || '–';
}
