/**
 * Times as `ls --time-style=+%Y-%m-%dT%H:%M:%S` prints them on the cluster: its local time, without a zone. FirecREST v2's
 * clients expect just that, so the zone of the system has to be known; over SFTP only seconds since the epoch arrive.
 */

/** Seconds since the epoch → `YYYY-MM-DDTHH:MM:SS`. */
export type LocalTime = (epochSeconds: number) => string;

/** Zones change their offset on quarter hours only, so one look-up serves all times of a quarter. */
const quarterSeconds = 900;
const cachedQuartersMax = 4_096;

/** Formats in an IANA zone. Throws RangeError for a zone that this runtime does not know. */
export function localTimeIn(zone: string): LocalTime {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const offsets = new Map<number, number>();
  const offsetAt = (quarter: number): number => {
    const known = offsets.get(quarter);
    if (known !== undefined) return known;
    const at = quarter * quarterSeconds;
    const parts: Record<string, number> = {};
    for (const part of format.formatToParts(at * 1_000)) parts[part.type] = Number(part.value);
    const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    const offset = Date.UTC(year, month - 1, day, hour, minute, second) / 1_000 - at;
    if (offsets.size >= cachedQuartersMax) offsets.clear();
    offsets.set(quarter, offset);
    return offset;
  };
  return (epochSeconds) => shifted(epochSeconds, offsetAt(Math.floor(epochSeconds / quarterSeconds)));
}

/** Formats at a constant offset from UTC, seconds east. */
export function localTimeAtOffset(offsetSeconds: number): LocalTime {
  return (epochSeconds) => shifted(epochSeconds, offsetSeconds);
}

const daySeconds = 86_400;
const twoDigits = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));

/** `2026-11-27T` of the days that occurred last: a large directory has many times, and few days. */
const dates = new Map<number, string>();
const cachedDatesMax = 1_024;

function dateOf(day: number): string {
  const known = dates.get(day);
  if (known !== undefined) return known;
  const date = new Date(day * daySeconds * 1_000).toISOString().slice(0, -'00:00:00.000Z'.length);
  if (dates.size >= cachedDatesMax) dates.clear();
  dates.set(day, date);
  return date;
}

function shifted(epochSeconds: number, offsetSeconds: number): string {
  const seconds = Math.floor(epochSeconds + offsetSeconds);
  const day = Math.floor(seconds / daySeconds);
  const inDay = seconds - day * daySeconds;
  const [hour, minute] = [Math.floor(inDay / 3_600), Math.floor(inDay / 60) % 60];
  return `${dateOf(day)}${twoDigits[hour]}:${twoDigits[minute]}:${twoDigits[inDay % 60]}`;
}
