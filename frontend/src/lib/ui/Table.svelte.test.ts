import { render, screen, waitFor, within } from '@testing-library/svelte';
import { createRawSnippet } from 'svelte';
import { describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors.ts';
import type { Page, Position } from '../api/types.ts';
import { PagedList } from '../state/paged-list.svelte.ts';
import Table from './Table.svelte';

interface Row {
  id: number;
  name: string;
}
const rows = (...ids: number[]): Row[] => ids.map((id) => ({ id, name: `row ${id}` }));
const cell = (text: (row: Row) => string) =>
  createRawSnippet<[Row, number]>((row) => ({ render: () => `<span>${text(row())}</span>` }));

const common = {
  what: 'the things',
  key: (row: Row) => row.id,
  columns: [
    { label: 'Name', cell: cell(({ name }) => name), kind: 'lead' as const },
    { label: 'Size', cell: cell(({ id }) => String(id * 10)), kind: 'number' as const },
  ],
  empty: { title: 'No things yet', icon: 'rule' as const, text: 'Make one.' },
};

function list(...answers: (Page<Row> | ApiError | 'never')[]) {
  const read = vi.fn<(position: Position) => Promise<Page<Row>>>(async () => {
    const answer = answers.shift() ?? 'never';
    if (answer === 'never') return new Promise(() => undefined);
    if (answer instanceof ApiError) throw answer;
    return answer;
  });
  return { list: new PagedList<Row>({ read, key: ({ id }) => id }), read };
}

const names = () =>
  screen
    .getAllByRole('row')
    .slice(1)
    .map((row) => within(row).getAllByRole('cell')[0]?.textContent);

describe('a table', () => {
  it('shows what it was given, each cell with the name of its column for small screens', () => {
    render(Table<Row>, { ...common, list: rows(1, 2) });
    expect(screen.getAllByRole('columnheader').map((head) => head.textContent)).toEqual([
      'Name',
      'Size',
    ]);
    expect(names()).toEqual(['row 1', 'row 2']);
    expect(screen.getByText('20').closest('td')?.dataset['label']).toBe('Size');
    expect(screen.getByText('row 2').closest('td')?.dataset['label']).toBeUndefined();
  });

  it('has a column of actions only when there are any', () => {
    const actions = createRawSnippet<[Row, number]>((row, index) => ({
      render: () => `<button type="button">${row().name} at ${index()}</button>`,
    }));
    const { unmount } = render(Table<Row>, { ...common, list: rows(7), actions });
    expect(screen.getByRole('columnheader', { name: 'Actions' })).toBeTruthy();
    expect(screen.getByRole('button', { name: 'row 7 at 0' })).toBeTruthy();
    unmount();
    render(Table<Row>, { ...common, list: rows(7) });
    expect(screen.queryByText('Actions')).toBeNull();
  });

  it('marks new rows', () => {
    render(Table<Row>, { ...common, list: rows(1, 2), fresh: ({ id }: Row) => id === 2 });
    const fresh = screen.getAllByRole('row').map((row) => row.classList.contains('fresh'));
    expect(fresh).toEqual([false, false, true]);
  });
});

describe('a table that is read page by page', () => {
  it('says that it is being read, without an empty table', () => {
    render(Table<Row>, { ...common, list: list('never').list });
    expect(screen.getByRole('status').textContent).toContain('Loading the things…');
    expect(screen.queryByRole('table')).toBeNull();
  });

  it('says why it could not be read, and reads it again', async () => {
    const things = list(new ApiError(503, 'Not available', 'It restarts.'), {
      items: rows(1),
      next_cursor: null,
    });
    render(Table<Row>, { ...common, list: things.list });
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toContain('Could not load the things');
    expect(alert.textContent).toContain('Not available. It restarts.');
    screen.getByRole('button', { name: 'Try again' }).click();
    await waitFor(() => expect(names()).toEqual(['row 1']));
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('says what to do when there is nothing', async () => {
    render(Table<Row>, { ...common, list: list({ items: [], next_cursor: null }).list });
    expect(await screen.findByText('No things yet')).toBeTruthy();
    expect(screen.getByText('Make one.')).toBeTruthy();
    expect(screen.queryByRole('table')).toBeNull();
  });

  it('loads more from where it ends, until nothing is left', async () => {
    const things = list(
      { items: rows(1, 2), next_cursor: 'below 2' },
      { items: rows(3), next_cursor: null },
    );
    render(Table<Row>, { ...common, list: things.list });
    (await screen.findByRole('button', { name: 'Load more' })).click();
    await waitFor(() => expect(names()).toEqual(['row 1', 'row 2', 'row 3']));
    expect(things.read.mock.lastCall?.[0]).toMatchObject({ cursor: 'below 2' });
    expect(screen.queryByRole('button', { name: 'Load more' })).toBeNull();
  });

  it('keeps its rows and says why when more cannot be loaded', async () => {
    const things = list(
      { items: rows(1), next_cursor: 'more' },
      new ApiError(504, 'Too slow', 'Try again in a moment.'),
    );
    render(Table<Row>, { ...common, list: things.list });
    (await screen.findByRole('button', { name: 'Load more' })).click();
    expect((await screen.findByRole('alert')).textContent).toContain('Try again in a moment.');
    expect(names()).toEqual(['row 1']);
    expect(screen.getByRole('button', { name: 'Load more' })).toBeTruthy();
  });

  it('shows news where they belong', async () => {
    const things = list({ items: rows(2, 1), next_cursor: null });
    render(Table<Row>, { ...common, list: things.list });
    await waitFor(() => expect(names()).toEqual(['row 2', 'row 1']));
    things.list.update((items) => [...rows(3), ...items]);
    await waitFor(() => expect(names()).toEqual(['row 3', 'row 2', 'row 1']));
  });
});
