// Formats values as short texts. Pure: the present time is an argument.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const numbers = new Intl.NumberFormat('en');
const dayAndTime = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});
const fullTime = new Intl.DateTimeFormat('en-GB', {
  dateStyle: 'medium',
  timeStyle: 'long',
});

/** "12,345"; an en dash for a value that is not known. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : numbers.format(value);
}

/** "1 rule", "2 rules". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** "just now", "5 min ago", "in 2 h", and a date when it is more than a week away. `now` in milliseconds. */
export function relativeTime(iso: string | null | undefined, now: number): string {
  if (!iso) return 'never';
  const then = Date.parse(iso);
  if (Number.isNaN(then)) return 'unknown';
  const away = Math.abs(now - then);
  if (away < 45 * SECOND) return 'just now';
  if (away > 7 * DAY) return dayAndTime.format(then);
  const text = span(away);
  return then > now ? `in ${text}` : `${text} ago`;
}

function span(milliseconds: number): string {
  if (milliseconds < HOUR) return `${Math.max(1, Math.round(milliseconds / MINUTE))} min`;
  if (milliseconds < DAY) return `${Math.round(milliseconds / HOUR)} h`;
  const days = Math.round(milliseconds / DAY);
  return days === 1 ? '1 day' : `${days} days`;
}

/** The whole moment with its time zone, for a tooltip. */
export function exactTime(iso: string | null | undefined): string {
  const then = iso ? Date.parse(iso) : Number.NaN;
  return Number.isNaN(then) ? '' : fullTime.format(then);
}

/** "14:00" in the reader's time zone. */
export function hourOfDay(iso: string): string {
  const date = new Date(iso);
  return `${String(date.getHours()).padStart(2, '0')}:00`;
}

/** Seconds as "90 s", "10 min", "2 h": the largest unit that divides them. */
export function seconds(value: number): string {
  if (value >= 3600 && value % 3600 === 0) return `${value / 3600} h`;
  if (value >= 120 && value % 60 === 0) return `${value / 60} min`;
  return `${value} s`;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Bytes as "950 B", "1.4 kB", "64 MB": decimal units, one decimal below ten of them. */
export function bytes(value: number): string {
  let [scaled, unit] = [value, 0];
  while (scaled >= 999.5 && unit < UNITS.length - 1) [scaled, unit] = [scaled / 1000, unit + 1];
  const digits = scaled < 9.95 && unit > 0 ? 1 : 0;
  return `${Number(scaled.toFixed(digits))} ${UNITS[unit]}`;
}

/** The first and last characters of a hash, short enough for a table; other identifiers stay whole. */
export function shortIdentifier(identifier: string): string {
  if (!/^[0-9a-f]{40,}$/i.test(identifier)) return identifier;
  return `${identifier.slice(0, 10)}…${identifier.slice(-6)}`;
}

/** A whole-number percentage that is 0 or 100 only when that is exactly so. */
export function percent(part: number, whole: number): number {
  if (whole <= 0 || part <= 0) return 0;
  if (part >= whole) return 100;
  return Math.min(99, Math.max(1, Math.round((part / whole) * 100)));
}
