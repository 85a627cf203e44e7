/** Values of sbatch's options as numbers and lists, for versions of the API whose fields have types. */

/** A whole number; undefined for anything else. */
export function integer(value: string): number | undefined {
  return /^-?\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/**
 * `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours[:minutes[:seconds]]` in minutes, a part of one as a
 * whole one. Undefined for anything else, `UNLIMITED` included.
 */
export function minutes(value: string): number | undefined {
  const [, days, rest = ''] = /^(?:(\d{1,6})-)?(\d{1,9}(?::\d{1,9}){0,2})$/.exec(value) ?? [];
  if (rest === '') return undefined;
  const parts = rest.split(':').map(Number);
  if (days !== undefined) {
    const [hours = 0, mins = 0, seconds = 0] = parts;
    return (Number(days) * 24 + hours) * 60 + mins + Math.ceil(seconds / 60);
  }
  const [hours, mins, seconds] = parts.length === 3 ? parts : [0, ...parts];
  return (hours ?? 0) * 60 + (mins ?? 0) + Math.ceil((seconds ?? 0) / 60);
}

const unitMib: Readonly<Record<string, number>> = { K: 1 / 1024, M: 1, G: 1024, T: 1024 ** 2, P: 1024 ** 3 };

/** `512`, `512M`, `4G`, `4GB` in MiB, rounded up; without a unit it is MiB. */
export function memoryMib(value: string): number | undefined {
  const [, number, unit = 'M'] = /^(\d{1,12})([KMGTP])?B?$/i.exec(value) ?? [];
  const factor = unitMib[unit.toUpperCase()];
  return number === undefined || factor === undefined ? undefined : Math.ceil(Number(number) * factor);
}

/** `n[1-2,5],g1` → `n[1-2,5]`, `g1`. */
export function wordsOutsideBrackets(value: string): string[] {
  return value.split(/,(?![^[]*\])/).filter((word) => word !== '');
}
