import { render, screen } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import Combobox from './Combobox.svelte';
import CopyText from './CopyText.svelte';
import Fact from './Fact.svelte';
import Reported from './Reported.svelte';

/** By its code, so that the source contains no such character. */
const at = (code: number) => String.fromCodePoint(code);
const text = (container: Element) => container.textContent?.trim();

describe('a text that a Mac reported', () => {
  it('is isolated from the words around it', () => {
    const { container } = render(Reported, { text: 'מחשב 7' });
    expect(container.querySelector('bdi')?.textContent).toBe('מחשב 7');
  });

  it.each([
    [at(0x202e), 'U+202E', /right-to-left override/],
    [at(0x2066), 'U+2066', /left-to-right isolate/],
    [at(0x200d), 'U+200D', /zero width joiner/],
    [at(0x0085), 'U+0085', /next line/],
    [at(0xe0061), 'U+E0061', /U\+E0061/],
  ])('shows %j by its code', (character, code, words) => {
    const { container } = render(Reported, { text: `exe${character}fdp.app` });
    expect(text(container)).toBe(`exe${code}fdp.app`);
    expect(screen.getByText(code).title).toMatch(words);
  });

  it('is markup to nobody', () => {
    const { container } = render(Reported, { text: '<img src=x onerror=alert(1)>' });
    expect(text(container)).toBe('<img src=x onerror=alert(1)>');
    expect(container.querySelector('img')).toBeNull();
  });

  it('has something in its place when it is missing', () => {
    expect(text(render(Reported, { text: '' }).container)).toBe('–');
    expect(text(render(Reported, { text: null, missing: 'Not signed' }).container)).toBe(
      'Not signed',
    );
  });
});

describe('where such texts are shown', () => {
  it('a fact names the character', () => {
    const { container } = render(Fact, { name: 'User', value: `a${at(0x202e)}b` });
    expect(container.querySelector('dd')?.textContent?.trim()).toBe('aU+202Eb');
    expect(render(Fact, { name: 'Rules', value: 0 }).container.textContent).toContain('0');
  });

  it('an identifier shows it and copies what it is', async () => {
    const copied: string[] = [];
    Object.defineProperty(navigator, 'clipboard', {
      configurable: true,
      value: { writeText: async (what: string) => void copied.push(what) },
    });
    render(CopyText, { text: `TEAM:com.${at(0x200b)}x`, what: 'identifier' });
    expect(screen.getByText('U+200B')).toBeTruthy();
    screen.getByRole('button').click();
    await Promise.resolve();
    expect(copied).toEqual([`TEAM:com.${at(0x200b)}x`]);
  });

  it('a suggestion shows it', async () => {
    render(Combobox, {
      control: { id: 'who' },
      value: '',
      find: async () => [{ value: 1, label: `mac${at(0x2067)}-1`, detail: `user${at(0x200f)}` }],
      onchoose: () => undefined,
    });
    screen.getByRole('combobox').focus();
    expect((await screen.findByRole('option')).textContent).toContain('macU+2067-1');
    expect(screen.getByRole('option').textContent).toContain('userU+200F');
  });
});
