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

function shifted(epochSeconds: number, offsetSeconds: number): string {
  return new Date((epochSeconds + offsetSeconds) * 1_000).toISOString().slice(0, 19);
}
