// The scale of the chart by hour. Pure.
import type { HourBucket } from '../../api/types.ts';

interface HourBar {
  hour: string;
  blocked: number;
  unknown: number;
  allowed: number;
  /** Heights in percent of the scale. */
  blockedHeight: number;
  unknownHeight: number;
}

interface HourlyScale {
  /** A round number at or above the tallest bar; at least 4, so that the ticks are whole numbers. */
  top: number;
  bars: HourBar[];
}

export function hourlyScale(hours: readonly HourBucket[]): HourlyScale {
  const tallest = Math.max(0, ...hours.map((hour) => hour.blocked + hour.unknown));
  const top = roundUp(tallest);
  const height = (value: number) => (value / top) * 100;
  const bars = hours.map(({ hour, blocked, unknown, allowed }) => ({
    hour,
    blocked,
    unknown,
    allowed,
    blockedHeight: height(blocked),
    unknownHeight: height(unknown),
  }));
  return { top, bars };
}

/** The next of 4, 10, 20, 40, 100, 200, 400, … that is not below the value. */
function roundUp(value: number): number {
  if (value <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 4, 10].find((candidate) => candidate * power >= value) ?? 10;
  return factor * power;
}
