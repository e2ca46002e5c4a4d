import { describe, expect, it } from 'vitest';
import { filesOf, readTooEarly, routesOf, tooLarge, withPreloads } from './manifest.ts';

const MANIFEST = {
  'start.js': { file: 'start.1.js', imports: ['_shared.js'] },
  'layout.js': { file: 'layout.2.js', imports: ['_shared.js', '_badge.js'], css: ['layout.css'] },
  '_shared.js': { file: 'shared.3.js', css: ['shared.css'] },
  '_badge.js': { file: 'badge.4.js', imports: ['_shared.js', 'layout.js'] },
};

describe('filesOf', () => {
  it('names what is imported before what imports it, each once, circles or not', () => {
    expect(filesOf(MANIFEST, ['start.js', 'layout.js'])).toEqual([
      'shared.3.js',
      'shared.css',
      'start.1.js',
      'badge.4.js',
      'layout.2.js',
      'layout.css',
    ]);
  });

  it('fails for a module that the build does not have', () => {
    expect(() => filesOf(MANIFEST, ['gone.js'])).toThrow('gone.js');
  });
});

describe('readTooEarly', () => {
  const manifest = {
    'entry.js': { file: 'start.1.js', imports: ['payload.js', '_helper.js'] },
    'payload.js': { file: 'payload.2.js' },
    '_helper.js': { file: 'helper.3.js', imports: ['_shared.js'] },
    '_shared.js': { file: 'shared.4.js' },
    'client.js': { file: 'client.5.js', imports: ['payload.js', '_shared.js'] },
  };

  it('accepts modules that are loaded after the payload is set', () => {
    expect(readTooEarly(manifest, 'entry.js', 'payload.js')).toBe('');
  });

  it('names what the entry imports, however indirectly, and what reads the payload', () => {
    const shared = { file: 'shared.4.js', imports: ['payload.js'] };
    const told = readTooEarly({ ...manifest, '_shared.js': shared }, 'entry.js', 'payload.js');
    expect(told).toMatch(/own: _shared\.js$/);
  });
});

describe('routesOf', () => {
  it('reads the dictionary that SvelteKit generates', () => {
    const app = [
      'export const dictionary = {',
      '\t\t"/(console)": [4,[2],[3]],',
      '\t\t"/(console)/tags/[id]": [18,[2,7],[3,,8]],',
      '\t\t"/login": [~20]',
      '\t};',
    ].join('\n');
    expect([...routesOf(app)]).toEqual([
      ['/(console)', { page: 4, frame: [2, 3] }],
      ['/(console)/tags/[id]', { page: 18, frame: [2, 7, 3, 8] }],
      ['/login', { page: 20, frame: [] }],
    ]);
  });

  it('fails when there is none', () => {
    expect(() => routesOf('export const dictionary = new Map();')).toThrow('SvelteKit');
  });
});

describe('withPreloads', () => {
  const html = '<head><link href="/shared.3.js" rel="modulepreload"></head><body></body>';

  it('links scripts and styles that are not linked yet', () => {
    const page = withPreloads(html, ['shared.3.js', 'layout.2.js', 'layout.css']);
    expect(page.match(/shared\.3\.js/g)).toHaveLength(1);
    expect(page).toContain('<link href="/layout.2.js" rel="modulepreload">');
    expect(page).toContain('<link href="/layout.css" rel="stylesheet">');
    expect(page.indexOf('layout.css')).toBeLessThan(page.indexOf('</head>'));
  });

  it('takes a name with a dollar sign as it is', () => {
    expect(withPreloads(html, ['a$&.js'])).toContain('"/a$&.js"');
  });
});

describe('tooLarge', () => {
  it('names the pages above the limit with their size', () => {
    const sizes = new Map([
      ['/login', 70_000],
      ['/rules', 80_100],
    ]);
    expect(tooLarge(sizes, 80_100)).toBe('');
    expect(tooLarge(sizes, 80_000)).toMatch(/80\.0 kB.*\n {2}\/rules: 80\.1 kB$/s);
  });
});
