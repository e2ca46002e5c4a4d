// The form of an essential without its components: initial values, validation, and the request. Pure.
import type { EssentialCreate, OwnEssential, RuleType } from '../api/types.ts';
import { IDENTIFIER_KINDS, identifierError, normalizeIdentifier } from './identifiers.ts';

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface EssentialForm {
  name: string;
  use: string;
  rule_type: RuleType;
  /** One to a line. */
  identifiers: string;
  /** One to a line. */
  paths: string;
}

export type EssentialErrors = Partial<Record<keyof EssentialForm, string>>;

export function emptyEssentialForm(): EssentialForm {
  return { name: '', use: '', rule_type: 'SIGNINGID', identifiers: '', paths: '' };
}

export function formFromEssential(essential: OwnEssential): EssentialForm {
  const { name, use, rule_type, identifiers, paths } = essential;
  return { name, use, rule_type, identifiers: identifiers.join('\n'), paths: paths.join('\n') };
}

const FIELD_LABELS: Readonly<Record<keyof EssentialForm, string>> = {
  name: 'Name',
  use: 'Use',
  rule_type: 'Type',
  identifiers: 'Identifiers',
  paths: 'Paths',
};

export function essentialFieldLabel(field: string): string {
  return FIELD_LABELS[field as keyof EssentialForm] ?? field;
}

/** A field's value in words, for the comparison with what someone else has stored. */
export function essentialFieldWords(field: string, value: unknown): string {
  if (field === 'rule_type') return IDENTIFIER_KINDS[value as RuleType].label;
  return linesIn(String(value ?? '')).join(', ') || '–';
}

export function linesIn(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

export function essentialErrors(form: EssentialForm): EssentialErrors {
  const errors: EssentialErrors = {};
  if (form.name.trim() === '') errors.name = 'Enter a name.';
  const identifiers = linesIn(form.identifiers);
  const wrong = identifiers.map((identifier) => identifierError(form.rule_type, identifier));
  const error = identifiers.length === 0 ? 'Enter at least one.' : wrong.find(Boolean);
  if (error) errors.identifiers = error;
  if (linesIn(form.paths).some((path) => !path.startsWith('/'))) {
    errors.paths = 'Enter whole paths: each begins with /.';
  }
  return errors;
}

export function toEssential(form: EssentialForm): EssentialCreate {
  return {
    name: form.name.trim(),
    use: form.use.trim(),
    rule_type: form.rule_type,
    identifiers: linesIn(form.identifiers).map((one) => normalizeIdentifier(form.rule_type, one)),
    paths: linesIn(form.paths),
  };
}
