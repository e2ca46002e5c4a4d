import { render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import SearchField from './SearchField.svelte';

type Before = (navigation: { from: Place; to: Place }) => void;
type Place = { url: URL } | null;

const navigation = vi.hoisted(() => ({ before: (() => undefined) as Before }));
vi.mock('$app/navigation', () => ({
  beforeNavigate: (before: Before) => {
    navigation.before = before;
  },
}));

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const place = (path: string) => ({ url: new URL(path, 'https://santa.example.com') });

function typed(text: string) {
  const onsearch = vi.fn();
  render(SearchField, { label: 'Search rules', value: '', onsearch });
  const input = screen.getByLabelText<HTMLInputElement>('Search rules');
  input.value = text;
  input.dispatchEvent(new Event('input', { bubbles: true }));
  return onsearch;
}

it('searches once typing pauses', () => {
  const onsearch = typed(' firefox ');
  expect(onsearch).not.toHaveBeenCalled();
  vi.runAllTimers();
  expect(onsearch.mock.calls).toEqual([['firefox']]);
});

it('does not come back from the page that is opened meanwhile', () => {
  const onsearch = typed('firefox');
  navigation.before({ from: place('/rules'), to: place('/tags') });
  vi.runAllTimers();
  expect(onsearch).not.toHaveBeenCalled();
});

it('goes on while another filter of the page changes', () => {
  const onsearch = typed('firefox');
  navigation.before({ from: place('/rules'), to: place('/rules?policy=BLOCKLIST') });
  vi.runAllTimers();
  expect(onsearch).toHaveBeenCalledOnce();
});
