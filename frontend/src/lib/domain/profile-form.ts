// The form of a configuration profile without its components. Pure.
import type { PayloadKind, ProfileRequest } from '../api/types.ts';

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface ProfileForm {
  secret: string;
  inUrl: boolean;
  payloads: PayloadKind[];
  essentials: string[];
  server_roots: string;
  signed: boolean;
}

export const PAYLOADS: readonly { value: PayloadKind; label: string; detail: string }[] = [
  { value: 'configuration', label: 'Santa configuration', detail: 'server and secret' },
  { value: 'system_extension', label: 'System extension', detail: 'allowed, not removable' },
  { value: 'full_disk_access', label: 'Full disk access', detail: 'PPPC' },
  { value: 'background_items', label: 'Background items', detail: 'no message to users' },
  { value: 'notifications', label: 'Notifications', detail: 'allowed' },
];

export function emptyProfile(): ProfileForm {
  return {
    secret: '',
    inUrl: false,
    payloads: PAYLOADS.map(({ value }) => value),
    essentials: ['santa'],
    server_roots: '',
    signed: true,
  };
}

/** Errors by field; `known`: the secret need not be entered. */
export function profileErrors(form: ProfileForm, known: boolean) {
  const errors: Partial<Record<'secret' | 'payloads', string>> = {};
  if (form.payloads.length === 0) errors.payloads = 'Choose at least one payload.';
  if (!known && form.payloads.includes('configuration') && form.secret.trim() === '') {
    errors.secret = 'Enter the secret. It was shown when it was created.';
  }
  return errors;
}

export function toProfileRequest(form: ProfileForm, secret: string | undefined): ProfileRequest {
  const configured = form.payloads.includes('configuration');
  return {
    payloads: form.payloads,
    secret: configured ? (secret ?? form.secret.trim()) : '',
    secret_in: form.inUrl ? 'url' : 'header',
    essentials: configured ? form.essentials : [],
    static_rules: [],
    server_roots: configured ? form.server_roots : '',
    signed: form.signed,
  };
}
