/** Single values as PBS prints them. */

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * Seconds since the epoch of `Tue Oct  4 21:23:20 2022`, which the commands print in the zone of their own `TZ` (they run
 * with UTC), or of a count of seconds. Null for anything else, `UNKNOWN` among it.
 */
export function epochSeconds(text: string | null): number | null {
  if (text === null) return null;
  if (/^\d{1,12}$/.test(text)) return Number(text);
  const [, month = '', day, hour, minute, second, year] =
    /^\w{3} (\w{3}) +(\d{1,2}) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/.exec(text.trim()) ?? [];
  if (!months.includes(month)) return null;
  const parts = [day, hour, minute, second].map(Number) as [number, number, number, number];
  return Date.UTC(Number(year), months.indexOf(month), ...parts) / 1_000;
}

/** `26:04:05`, `04:05` or seconds, in seconds; null for anything else. */
export function durationSeconds(text: string | null): number | null {
  if (text === null || !/^(?:\d+:){0,2}\d+$/.test(text)) return null;
  return text.split(':').reduce((seconds, part) => seconds * 60 + Number(part), 0);
}

/** `26:04:05` for seconds. */
export function walltime(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)];
  return [hours, minutes, seconds % 60].map((part) => String(part).padStart(2, '0')).join(':');
}

const unitBytes: Readonly<Record<string, number>> = {
  '': 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};
/** PBS counts in words of eight bytes where it says `w`. */
const wordBytes = 8;

/** Bytes of a size such as `395gb`, `4194304kb` or `16mw`; null for anything else. */
export function sizeBytes(text: string | null): number | null {
  const [, count, unit = '', kind] = /^(\d+)([kmgtp]?)([bw]?)$/.exec(text?.toLowerCase() ?? '') ?? [];
  if (count === undefined) return null;
  return Number(count) * (unitBytes[unit] ?? 1) * (kind === 'w' ? wordBytes : 1);
}

/** The same in whole MiB. */
export function mebibytes(text: string | null): number | null {
  const bytes = sizeBytes(text);
  return bytes === null ? null : Math.floor(bytes / 2 ** 20);
}

/** A whole number, negative ones included, or null. */
export function wholeNumber(text: string | null): number | null {
  return text !== null && /^-?\d{1,15}$/.test(text) ? Number(text) : null;
}

/** A moment as `qselect -t` reads it, `202210042123.20`, in UTC. */
export function selectTime(epochMs: number): string {
  const [date = '', time = ''] = new Date(epochMs).toISOString().split('T');
  return `${date.replaceAll('-', '')}${time.slice(0, 5).replace(':', '')}.${time.slice(6, 8)}`;
}
