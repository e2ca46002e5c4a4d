import { render, screen, waitFor } from '@testing-library/svelte';
import { beforeEach, expect, it, vi } from 'vitest';
import Combobox from './Combobox.svelte';

const find = vi.fn();
const onchoose = vi.fn();
const ontype = vi.fn();

beforeEach(() => {
  find
    .mockReset()
    .mockImplementation(async (text: string) =>
      ['alpha', 'beta', 'gamma']
        .filter((one) => one.includes(text))
        .map((one) => ({ value: one, label: one })),
    );
  onchoose.mockReset();
  ontype.mockReset();
});

function open(props: Record<string, unknown> = {}) {
  render(Combobox, { control: { id: 'who' }, value: '', find, onchoose, ...props });
  const input = screen.getByRole<HTMLInputElement>('combobox');
  input.focus();
  return input;
}

function press(input: HTMLElement, key: string) {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
  input.dispatchEvent(event);
  return event;
}

function type(input: HTMLInputElement, text: string) {
  input.value = text;
  input.dispatchEvent(new Event('input', { bubbles: true }));
}

const active = () => screen.queryByRole('option', { selected: true })?.textContent?.trim();

it('moves through the suggestions with the arrow keys, round and round, and takes one with Enter', async () => {
  const input = open();
  await screen.findByText('alpha');
  for (const expected of ['alpha', 'beta', 'gamma', 'alpha']) {
    press(input, 'ArrowDown');
    await waitFor(() => expect(active()).toBe(expected));
  }
  press(input, 'ArrowUp');
  await waitFor(() => expect(active()).toBe('gamma'));
  expect(input.getAttribute('aria-activedescendant')).toBe('who-list-2');
  expect(press(input, 'Enter').defaultPrevented).toBe(true);
  expect(onchoose).toHaveBeenCalledWith({ value: 'gamma', label: 'gamma' });
  await waitFor(() => expect(input.getAttribute('aria-expanded')).toBe('false'));
});

it('lets Enter alone when nothing is chosen', async () => {
  const input = open();
  await screen.findByText('alpha');
  expect(press(input, 'Enter').defaultPrevented).toBe(false);
  expect(onchoose).not.toHaveBeenCalled();
});

it('takes Escape for itself only while it is open', async () => {
  const input = open();
  await screen.findByText('alpha');
  expect(press(input, 'Escape').defaultPrevented).toBe(true);
  await waitFor(() => expect(input.getAttribute('aria-expanded')).toBe('false'));
  expect(press(input, 'Escape').defaultPrevented).toBe(false);
});

it('shows only what was found for what is typed now', async () => {
  const answers = new Map<string, (found: unknown[]) => void>();
  find.mockImplementation((text: string) => new Promise((resolve) => answers.set(text, resolve)));
  const input = open({ ontype });
  await waitFor(() => expect(answers.has('')).toBe(true));
  type(input, 'be');
  await waitFor(() => expect(answers.has('be')).toBe(true));
  answers.get('be')?.([{ value: 1, label: 'beta' }]);
  await screen.findByText('beta');
  answers.get('')?.([{ value: 2, label: 'late' }]);
  await Promise.resolve();
  expect(screen.queryByText('late')).toBeNull();
  expect(ontype).toHaveBeenCalledWith('be');
});

const said = () => screen.getByRole('status').textContent?.trim();

it('says why nothing could be found', async () => {
  find.mockRejectedValue(new TypeError('offline'));
  open();
  await waitFor(() => expect(said()).toContain('Check the connection'));
});

it('says that nothing matches', async () => {
  const input = open();
  await screen.findByText('alpha');
  type(input, 'zzz');
  await waitFor(() => expect(said()).toBe('No matches'));
});

it('says how many suggestions there are, from the same place each time', async () => {
  const input = open();
  const status = screen.getByRole('status'); // present before it has a text, so that changes are announced
  expect(said()).toBe('');
  await waitFor(() => expect(said()).toBe('3 suggestions'));
  type(input, 'bet');
  await waitFor(() => expect(said()).toBe('1 suggestion'));
  press(input, 'Escape');
  await waitFor(() => expect(said()).toBe(''));
  expect(screen.getByRole('status')).toBe(status);
});

it('keeps the active suggestion in view', async () => {
  const shown = vi.spyOn(HTMLElement.prototype, 'scrollIntoView');
  const input = open();
  await screen.findByText('alpha');
  for (const [key, index] of [
    ['ArrowUp', 2],
    ['ArrowDown', 0],
    ['ArrowDown', 1],
  ] as const) {
    press(input, key);
    await waitFor(() =>
      expect(shown.mock.contexts.at(-1)).toBe(screen.getAllByRole('option')[index]),
    );
    expect(shown.mock.lastCall).toEqual([{ block: 'nearest' }]);
  }
});
