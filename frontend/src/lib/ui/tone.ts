// The meaning of a colour; app.css gives each tone its colours.
export type Tone = 'ok' | 'danger' | 'warn' | 'info' | 'neutral';

/** One share of a whole; with an address it leads to what it counts. */
export interface Segment {
  label: string;
  value: number;
  tone: Tone;
  href?: string;
}
