import { render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, expect, it, vi } from 'vitest';
import { changeSerials, dropSerials } from '../../api/enrollments.ts';
import { ApiError } from '../../api/errors.ts';
import { someEnrollment } from '../../testing/samples.ts';
import SerialsDialog from './SerialsDialog.svelte';

vi.mock('../../api/enrollments.ts');
afterEach(() => void vi.resetAllMocks());

function open(serial_allowlist: string[] | null) {
  const enrollment = someEnrollment({ serial_allowlist });
  const onchanged = vi.fn();
  const onclose = vi.fn();
  render(SerialsDialog, { enrollment, onchanged, onclose });
  return { onchanged, onclose };
}

const VERSION = expect.objectContaining({ id: 3, etag: '"1"' });
const input = () => screen.getByLabelText<HTMLTextAreaElement>('Add serial numbers');
const button = (name: string) => screen.getByRole<HTMLButtonElement>('button', { name });

function type(text: string) {
  input().value = text;
  input().dispatchEvent(new Event('input', { bubbles: true }));
}

it('adds what was entered, however it is separated', async () => {
  vi.mocked(changeSerials).mockResolvedValue({ serials: ['C02A', 'C02B', 'C02C'], etag: '"2"' });
  const { onchanged } = open(null);
  type('c02a, C02B\nc02c');
  button('Add').click();
  await waitFor(() => expect(onchanged).toHaveBeenCalledOnce());
  expect(changeSerials).toHaveBeenCalledWith(VERSION, { add: ['C02A', 'C02B', 'C02C'] });
  expect(onchanged.mock.calls[0]?.[0].serial_allowlist).toEqual(['C02A', 'C02B', 'C02C']);
  await waitFor(() => expect(input().value).toBe(''));
});

it('asks for at least one', async () => {
  open(null);
  type(' , ');
  button('Add').click();
  await screen.findByText('Enter at least one serial number.');
  expect(changeSerials).not.toHaveBeenCalled();
});

it('removes one, and says when that failed', async () => {
  vi.mocked(changeSerials).mockRejectedValueOnce(new ApiError(503, 'Busy', 'Try again.'));
  const { onchanged } = open(['C02A', 'C02B']);
  button('Remove C02A').click();
  expect((await screen.findByRole('alert')).textContent).toContain('Try again.');
  expect(onchanged).not.toHaveBeenCalled();
  vi.mocked(changeSerials).mockResolvedValueOnce({ serials: ['C02B'], etag: '"2"' });
  await waitFor(() => expect(button('Remove C02A').disabled).toBe(false));
  button('Remove C02A').click();
  await waitFor(() => expect(onchanged).toHaveBeenCalledOnce());
  expect(changeSerials).toHaveBeenLastCalledWith(VERSION, { remove: ['C02A'] });
  expect(screen.queryByRole('alert')).toBeNull();
});

it('can allow any Mac again', async () => {
  vi.mocked(dropSerials).mockResolvedValue({ serials: null, etag: '"2"' });
  const { onchanged } = open(['C02A']);
  button('Allow any Mac').click();
  await waitFor(() => expect(onchanged).toHaveBeenCalledOnce());
  expect(dropSerials).toHaveBeenCalledWith(VERSION);
  expect(onchanged.mock.calls[0]?.[0].serial_allowlist).toBeNull();
});

it('asks before numbers that were entered but not added are lost', async () => {
  const { onclose } = open([]);
  type('C02A');
  await waitFor(() => expect(input().value).toBe('C02A'));
  input().dispatchEvent(
    new KeyboardEvent('keydown', { key: 'Escape', bubbles: true, cancelable: true }),
  );
  await screen.findByText('The serial numbers you entered are not added.');
  expect(onclose).not.toHaveBeenCalled();
});

it('lists no more than people read, and finds the others', async () => {
  open(Array.from({ length: 205 }, (_, n) => `C02X${String(n).padStart(3, '0')}`));
  expect(screen.getAllByRole('listitem')).toHaveLength(200);
  expect(screen.getByText('5 more. Search to see them.')).toBeTruthy();
  const search = screen.getByLabelText<HTMLInputElement>('Search serial numbers');
  search.value = 'x204';
  search.dispatchEvent(new Event('input', { bubbles: true }));
  await waitFor(() => expect(screen.getAllByRole('listitem')).toHaveLength(1));
});
