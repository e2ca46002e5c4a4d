import { render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, expect, it, vi } from 'vitest';
import { countMembers } from '../../api/layers.ts';
import { saveLayerSettings } from '../../api/settings.ts';
import type { LayerSettings } from '../../api/types.ts';
import LayerSettingsForm from './LayerSettingsForm.svelte';

vi.mock('../../api/settings.ts');
vi.mock('../../api/layers.ts');
afterEach(() => void vi.resetAllMocks());

function open(values: LayerSettings['values'] = {}, locked: string[] = [], mayEdit = true) {
  vi.mocked(saveLayerSettings).mockImplementation(async (draft) => draft);
  const onsaved = vi.fn();
  const settings = { layer: 'tag:finance', values, locked, etag: '"1"' };
  render(LayerSettingsForm, { settings, mayEdit, onsaved });
  return onsaved;
}

const field = (name: string) => screen.getByLabelText<HTMLInputElement>(name);
const button = (name: string) => screen.getByRole<HTMLButtonElement>('button', { name });
const sent = () => vi.mocked(saveLayerSettings).mock.calls[0]?.[0];

async function save() {
  await waitFor(() => expect(button('Save settings').disabled).toBe(false));
  button('Save settings').click();
}

function add(setting: string) {
  field('Add a setting').value = setting;
  field('Add a setting').dispatchEvent(new Event('change', { bubbles: true }));
}

it('says that a layer without settings has none', () => {
  open();
  expect(screen.getByText('No settings defined in this layer')).toBeTruthy();
});

it('adds a setting, which then has the focus, and locks it', async () => {
  const onsaved = open();
  add('batch_size');
  await waitFor(() => expect(document.activeElement).toBe(field('Events per upload')));
  field('Events per upload').value = '70';
  field('Events per upload').dispatchEvent(new Event('input', { bubbles: true }));
  screen.getByRole('switch', { name: /^Locked/ }).click();
  await save();
  await waitFor(() => expect(onsaved).toHaveBeenCalledOnce());
  expect(sent()).toEqual({
    layer: 'tag:finance',
    values: { batch_size: 70 },
    locked: ['batch_size'],
    etag: '"1"',
  });
});

it('offers each setting once', async () => {
  open({ batch_size: 70 });
  const offered = () =>
    Array.from(field('Add a setting').querySelectorAll('option'), (o) => o.value);
  expect(offered()).not.toContain('batch_size');
  expect(offered()).toContain('client_mode');
  add('client_mode');
  await waitFor(() => expect(offered()).not.toContain('client_mode'));
});

it('leaves a setting and its lock to lower layers, and keeps the focus in the form', async () => {
  const onsaved = open({ batch_size: 70 }, ['batch_size']);
  button('Remove Events per upload').click();
  await waitFor(() => expect(document.activeElement).toBe(field('Add a setting')));
  await save();
  await waitFor(() => expect(onsaved).toHaveBeenCalledOnce());
  expect(sent()).toEqual({ layer: 'tag:finance', values: {}, locked: [], etag: '"1"' });
});

it('does not send what is wrong, and goes there', async () => {
  open({ event_detail_url: 'http://plain.example' });
  add('batch_size'); // so that something changed
  await save();
  await screen.findByText('Enter an address that starts with https://');
  await waitFor(() => expect(document.activeElement?.getAttribute('aria-invalid')).toBe('true'));
  expect(saveLayerSettings).not.toHaveBeenCalled();
});

it('asks before Lockdown reaches the layer, with the number of its machines', async () => {
  vi.mocked(countMembers).mockResolvedValue(1);
  open({ client_mode: 'MONITOR' });
  field('Mode').value = 'LOCKDOWN';
  field('Mode').dispatchEvent(new Event('change', { bubbles: true }));
  await save();
  await screen.findByText('This affects 1 machine.');
  expect(saveLayerSettings).not.toHaveBeenCalled();
  button('Save and switch to Lockdown').click();
  await waitFor(() => expect(sent()?.values).toEqual({ client_mode: 'LOCKDOWN' }));
});

it('can only be read by those who may not change it', () => {
  open({ batch_size: 70 }, [], false);
  expect(screen.getByText('Your role does not include changing these settings.')).toBeTruthy();
  expect(screen.queryByLabelText('Add a setting')).toBeNull();
  expect(screen.queryByRole('button', { name: /^Remove/ })).toBeNull();
});
