// What the build makes of a Markdown file.

export interface DocHeading {
  /** The anchor, as GitHub makes it. */
  id: string;
  text: string;
  depth: number;
}

export interface DocPage {
  title: string;
  html: string;
  /** Those below the title. */
  headings: readonly DocHeading[];
}

/** What the search looks through: a page is cut at its headings of the second and third level. */
export interface DocSearchSection {
  slug: string;
  /** Of the page. */
  title: string;
  /** Empty for what comes before the first heading. */
  heading: string;
  anchor: string;
  text: string;
}
