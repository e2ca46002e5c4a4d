import { render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, expect, it, vi } from 'vitest';
import { ApiError } from '../../api/errors.ts';
import { countMembers } from '../../api/layers.ts';
import { saveSettings } from '../../api/settings.ts';
import { globalSettings, type GlobalSettings } from '../../domain/global-settings.ts';
import { someSettings } from '../../testing/samples.ts';
import SettingsForm from './SettingsForm.svelte';

vi.mock('../../api/settings.ts');
vi.mock('../../api/layers.ts');
afterEach(() => void vi.resetAllMocks());

function open(settings: Partial<GlobalSettings> = {}, mayEdit = true) {
  vi.mocked(saveSettings).mockImplementation(async (draft) => draft);
  const own = { layer: 'global', values: {}, locked: [], etag: '"1"' };
  const all = { ...globalSettings(someSettings(), own), ...settings };
  render(SettingsForm, { settings: all, mayEdit });
}

const number = (name: string) => screen.getByRole<HTMLInputElement>('spinbutton', { name });
const button = (name: string) => screen.getByRole<HTMLButtonElement>('button', { name });

function type(name: string, value: string) {
  number(name).value = value;
  number(name).dispatchEvent(new Event('input', { bubbles: true }));
}

async function save() {
  await waitFor(() => expect(button('Save settings').disabled).toBe(false));
  button('Save settings').click();
}

it('has nothing to save before something changed, and again once it is saved', async () => {
  open();
  expect(button('Save settings').disabled).toBe(true);
  type('Events per upload', '77');
  await save();
  await screen.findByText('All changes saved');
  expect(button('Save settings').disabled).toBe(true);
  expect(vi.mocked(saveSettings).mock.calls[0]?.[0].values.batch_size).toBe(77);
});

it('goes back to what is stored', async () => {
  open();
  type('Events per upload', '77');
  await waitFor(() => expect(button('Discard changes').disabled).toBe(false));
  button('Discard changes').click();
  await waitFor(() => expect(number('Events per upload').value).toBe('50'));
  expect(saveSettings).not.toHaveBeenCalled();
});

it.each(['59', '86401', '60.5', ''])('does not send %j seconds, and goes there', async (value) => {
  open();
  type('Seconds between syncs', value);
  await save();
  await screen.findByText('Enter a whole number from 60 to 86400.');
  await waitFor(() => expect(document.activeElement).toBe(number('Seconds between syncs')));
  expect(saveSettings).not.toHaveBeenCalled();
  type('Seconds between syncs', '60');
  await waitFor(() => expect(screen.queryByText(/whole number/)).toBeNull());
});

it('keeps what was entered when the server refuses it', async () => {
  open();
  vi.mocked(saveSettings).mockRejectedValue(new ApiError(503, 'Not available', 'It restarts.'));
  type('Events per upload', '77');
  await save();
  expect((await screen.findByText('It restarts.')).closest('[role=alert]')).toBeTruthy();
  expect(number('Events per upload').value).toBe('77');
  await waitFor(() => expect(button('Save settings').disabled).toBe(false));
});

it('asks before Lockdown reaches machines, with their number', async () => {
  vi.mocked(countMembers).mockResolvedValue(152);
  open();
  screen.getByRole('radio', { name: /^Lockdown/ }).click();
  await save();
  await screen.findByText('This affects 152 machines.');
  expect(saveSettings).not.toHaveBeenCalled();
  button('Cancel').click();
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  expect(saveSettings).not.toHaveBeenCalled();
  await save();
  const confirm = await screen.findByRole<HTMLButtonElement>('button', {
    name: 'Save and switch to Lockdown',
  });
  await waitFor(() => expect(confirm.disabled).toBe(false));
  confirm.click();
  await waitFor(() => expect(saveSettings).toHaveBeenCalledOnce());
  expect(vi.mocked(saveSettings).mock.calls[0]?.[0].values.client_mode).toBe('LOCKDOWN');
});

it('asks nothing when Lockdown is there already', async () => {
  open({ values: someSettings({ client_mode: 'LOCKDOWN' }) });
  type('Events per upload', '77');
  await save();
  await waitFor(() => expect(saveSettings).toHaveBeenCalledOnce());
  expect(countMembers).not.toHaveBeenCalled();
});

it('wants at least one restriction', async () => {
  open();
  const media = screen.getByLabelText<HTMLSelectElement>('When a volume is attached');
  media.value = 'remount';
  media.dispatchEvent(new Event('change', { bubbles: true }));
  for (const name of [/^rdonly/, /^noexec/]) {
    (await screen.findByRole<HTMLInputElement>('checkbox', { name })).click();
  }
  await save();
  await screen.findByText('Choose at least one restriction.');
  expect(saveSettings).not.toHaveBeenCalled();
});

it('can only be read by those who may not change it', () => {
  open({}, false);
  expect(screen.getByText('Your role does not include changing these settings.')).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'Save settings' })).toBeNull();
  expect(number('Events per upload').matches(':disabled')).toBe(true);
});
