// The meaning of a color; tokens.css defines each tone's colors.
export type Tone = 'ok' | 'danger' | 'warn' | 'info' | 'neutral';

/** One share of a whole; with an address it leads to what it counts. */
export interface Segment {
  label: string;
  value: number;
  tone: Tone;
  href?: string;
}
