/** The Prefer header, RFC 7240: `respond-async`, `wait=N` and `return`; other preferences are ignored, as the RFC asks. */

export interface Preferences {
  isAsync: boolean;
  /** Seconds, capped; null when not asked for. */
  waitSeconds: number | null;
  /** Null when not asked for. */
  return: 'minimal' | 'representation' | null;
}

const none: Preferences = { isAsync: false, waitSeconds: null, return: null };

/** The longest wait that is honoured, seconds. */
const waitSecondsMax = 60;

/** Reads the header; of a repeated preference the first counts (RFC 7240, section 2). */
export function readPreferences(header: string | undefined): Preferences {
  if (header === undefined) return none;
  const found: Preferences = { ...none };
  for (const item of header.split(',')) {
    const [preference = ''] = item.split(';');
    const [name = '', value = ''] = preference.split('=').map((part) => part.trim());
    const text = value.replace(/^"(.*)"$/, '$1');
    const known = name.toLowerCase();
    if (known === 'respond-async') found.isAsync = true;
    if (known === 'wait' && found.waitSeconds === null && /^\d{1,9}$/.test(text)) {
      found.waitSeconds = Math.min(Number(text), waitSecondsMax);
    }
    if (known === 'return' && found.return === null && (text === 'minimal' || text === 'representation')) {
      found.return = text;
    }
  }
  return found;
}

/** The header that says which preferences were applied (RFC 7240, section 3); empty where none was. */
export function preferenceApplied(
  applied: { isAsync?: boolean; waitSeconds?: number | null } & Partial<Pick<Preferences, 'return'>>,
): Record<string, string> {
  const names = [
    ...(applied.isAsync ? ['respond-async'] : []),
    ...(typeof applied.waitSeconds === 'number' ? [`wait=${applied.waitSeconds}`] : []),
    ...(applied.return ? [`return=${applied.return}`] : []),
  ];
  return names.length === 0 ? {} : { 'preference-applied': names.join(', ') };
}
