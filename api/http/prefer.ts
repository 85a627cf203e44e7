/** The Prefer header, RFC 7240: `respond-async` and `wait=N`; other preferences are ignored, as the RFC asks. */

export interface Preferences {
  isAsync: boolean;
  /** Seconds, capped; null when not asked for. */
  waitSeconds: number | null;
}

const none: Preferences = { isAsync: false, waitSeconds: null };

/** The longest wait that is honoured, seconds. */
const waitSecondsMax = 60;

/** Reads the header; of a repeated preference the first counts (RFC 7240, section 2). */
export function readPreferences(header: string | undefined): Preferences {
  if (header === undefined) return none;
  let isAsync = false;
  let waitSeconds: number | null = null;
  for (const item of header.split(',')) {
    const [preference = ''] = item.split(';');
    const [name = '', value = ''] = preference.split('=').map((part) => part.trim());
    if (name.toLowerCase() === 'respond-async') isAsync = true;
    const seconds = value.replace(/^"(.*)"$/, '$1');
    if (name.toLowerCase() === 'wait' && waitSeconds === null && /^\d{1,9}$/.test(seconds)) {
      waitSeconds = Math.min(Number(seconds), waitSecondsMax);
    }
  }
  return { isAsync, waitSeconds };
}
