// The pages of the documentation, in reading order. Pure; the build and the pages both read it.

export interface DocEntry {
  /** Below `/docs/`; empty for the first page. */
  slug: string;
  /** Below the repository's `docs/`. */
  file: string;
  title: string;
}

export interface DocSection {
  title: string;
  pages: readonly DocEntry[];
}

const guide = (slug: string, title: string): DocEntry => ({
  slug,
  file: `guide/${slug || 'index'}.md`,
  title,
});
const reference = (slug: string, title: string): DocEntry => ({ slug, file: `${slug}.md`, title });

export const SECTIONS: readonly DocSection[] = [
  {
    title: 'Start',
    pages: [guide('', 'SantaServer documentation'), guide('tutorial', 'Five-minute tutorial')],
  },
  {
    title: 'Install',
    pages: [
      guide('install', 'Install'),
      guide('tls', 'TLS and client certificates'),
      guide('sizing', 'Sizing'),
      guide('upgrade', 'Upgrade, back up, move'),
    ],
  },
  {
    title: 'Connect Macs',
    pages: [guide('macs', 'Prepare Macs'), guide('mdm', 'Profiles by MDM')],
  },
  { title: 'Automate', pages: [guide('api', 'The API by example')] },
  { title: 'Solve problems', pages: [guide('incidents', 'Incident guide')] },
  {
    title: 'Reference',
    pages: [
      reference('operations', 'Operations'),
      reference('configuration', 'Configuration reference'),
      reference('permissions', 'Permissions'),
      reference('alerts', 'Alerts'),
      reference('metrics', 'Metrics'),
    ],
  },
];

export const PAGES: readonly DocEntry[] = SECTIONS.flatMap((section) => section.pages);

/** The page at `slug`, or undefined. */
export function pageAt(slug: string): DocEntry | undefined {
  return PAGES.find((page) => page.slug === slug);
}

/** The pages before and after one, in reading order. */
export function neighbors(slug: string): { previous?: DocEntry; next?: DocEntry } {
  const at = PAGES.findIndex((page) => page.slug === slug);
  const [previous, next] = [at > 0 ? PAGES[at - 1] : undefined, PAGES[at + 1]];
  return { ...(previous && { previous }), ...(at >= 0 && next && { next }) };
}

/** The path of a page, and perhaps of one of its headings. */
export function docPath(slug: string, anchor = ''): string {
  return `/docs/${slug ? `${slug}/` : ''}${anchor ? `#${anchor}` : ''}`;
}
