import { render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ApiError } from '../../api/errors.ts';
import { importRules } from '../../api/rule-files.ts';
import type { ImportPlan, RecognizedFile } from '../../api/types.ts';
import RuleImportForm from './RuleImportForm.svelte';

vi.mock('../../api/rule-files.ts');
afterEach(() => void vi.resetAllMocks());

function plan(part: Partial<ImportPlan> = {}): ImportPlan {
  return {
    policy_seq: 7,
    applied: false,
    rules: 2,
    added: 2,
    changed: 0,
    removed: 0,
    unchanged: 0,
    changes: [],
    mistakes: [],
    mistakes_total: 0,
    warnings: [],
    missing_layers: [],
    recognized: null,
    ...part,
  };
}

const button = (name: string) => screen.getByRole<HTMLButtonElement>('button', { name });
const calls = () => vi.mocked(importRules).mock.calls.map(([body]) => body);

function choose(content: string, name = 'rules.csv') {
  const input = screen.getByLabelText<HTMLInputElement>('File');
  const bytes = new TextEncoder().encode(content);
  const file = Object.assign(new File([content], name), { arrayBuffer: async () => bytes.buffer });
  Object.defineProperty(input, 'files', { configurable: true, writable: true, value: [file] });
  input.dispatchEvent(new Event('change', { bubbles: true }));
}

async function press(name: string) {
  await waitFor(() => expect(button(name).disabled).toBe(false));
  button(name).click();
}
const preview = () => press('Preview');

beforeEach(() => {
  vi.mocked(importRules).mockImplementation(async ({ dry_run }) => plan({ applied: !dry_run }));
  render(RuleImportForm);
});

it('asks for a file', async () => {
  await preview();
  await screen.findByText('Choose a file.');
  expect(importRules).not.toHaveBeenCalled();
});

it('applies exactly what was shown, at the number it was shown for', async () => {
  choose('first');
  await preview();
  await screen.findByText('2 rules are added.');
  await press('Apply import');
  await screen.findByText('Imported as policy version 7.');
  const [shown, applied] = calls();
  expect(shown).toMatchObject({
    content: 'first',
    encoding: 'text',
    file_name: 'rules.csv',
    format: 'auto',
    dry_run: true,
    policy_seq: null,
  });
  expect(applied).toEqual({ ...shown, dry_run: false, policy_seq: 7 });
});

it('shows a preview no longer once it is of something else', async () => {
  choose('first');
  await preview();
  await screen.findByText('2 rules are added.');
  screen.getByRole('switch', { name: 'Remove rules that are not in the file' }).click();
  await waitFor(() => expect(screen.queryByText('2 rules are added.')).toBeNull());
  expect(screen.queryByRole('button', { name: 'Apply import' })).toBeNull();
  await preview();
  await screen.findByText('2 rules are added.');
  expect(calls()[1]).toMatchObject({ remove_missing: true });
  choose('second', 'other.json');
  await waitFor(() => expect(screen.queryByText('2 rules are added.')).toBeNull());
});

it('asks before rules are removed', async () => {
  vi.mocked(importRules).mockImplementation(async ({ dry_run }) =>
    plan({ added: 0, removed: 3, applied: !dry_run }),
  );
  choose('first');
  await preview();
  await press('Apply import …');
  await screen.findByRole('heading', { name: 'Remove 3 rules?' });
  expect(importRules).toHaveBeenCalledOnce();
  await press('Import and remove 3 rules');
  await screen.findByText('Imported as policy version 7.');
});

it('offers to insist only on what the guard refuses', async () => {
  const refused = {
    line: 2,
    field: 'identifier',
    message: 'It locks Macs out: override_guard',
    code: '',
    column: null,
    entry: null,
    file: '',
  };
  vi.mocked(importRules).mockResolvedValueOnce(plan({ mistakes: [refused], mistakes_total: 1 }));
  expect(screen.queryByRole('switch', { name: 'Import anyway' })).toBeNull();
  choose('first');
  await preview();
  await screen.findByText(/1 error in the file/);
  screen.getByRole('switch', { name: 'Import anyway' }).click();
  await preview();
  await screen.findByText('2 rules are added.');
  expect(calls().map(({ override_guard }) => override_guard)).toEqual([false, true]);
});

it('says why nothing was imported, and leaves the preview to try again', async () => {
  choose('first');
  await preview();
  await screen.findByText('2 rules are added.');
  vi.mocked(importRules).mockRejectedValueOnce(
    new ApiError(409, 'Conflict', 'Rules have changed.'),
  );
  await press('Apply import');
  await screen.findByText('Rules have changed.');
  expect(screen.getByText('2 rules are added.')).toBeTruthy();
});

it('asks what only a person can decide about a file of another tool', async () => {
  const file: RecognizedFile = {
    format: 'zentral_api',
    title: 'Zentral, rules from its API',
    rules: 0,
    removals: 0,
    absent: 0,
    layers: [],
    settings: {},
    configurations: [
      { id: '1', name: 'Default', rules: 5 },
      { id: '2', name: 'Lab', rules: 1 },
    ],
    choices: ['configuration'],
    skipped_total: 1,
    skipped: [
      {
        code: 'transitive',
        count: 1,
        notes: [{ line: 8, column: 3, entry: 6, field: '', message: 'Made by a Mac', file: '' }],
      },
    ],
    warnings_total: 0,
    warnings: [],
    candidates: [],
  };
  const mistakes = [
    {
      line: 1,
      field: 'configuration',
      message: 'Choose one',
      code: 'choose_configuration',
      column: 1,
      entry: null,
      file: '',
    },
  ];
  vi.mocked(importRules).mockResolvedValueOnce(
    plan({ recognized: file, mistakes, mistakes_total: 1 }),
  );
  choose('[]', 'rules.json');
  await preview();
  await screen.findByText('Zentral, rules from its API');
  expect(screen.getByText('Made by a Mac for itself (1)')).toBeTruthy();
  expect(screen.queryByRole('switch', { name: 'The last rule for a target wins' })).toBeNull();
  const select = screen.getByLabelText<HTMLSelectElement>('Configuration');
  select.value = '2';
  select.dispatchEvent(new Event('change', { bubbles: true }));
  vi.mocked(importRules).mockResolvedValueOnce(plan({ recognized: file }));
  await preview();
  await screen.findByText('2 rules are added.');
  expect(calls()[1]).toMatchObject({ configuration: '2' });
});
