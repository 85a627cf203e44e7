/** User and group names of a system for numeric ids, looked up in batches with getent and kept for a while. */
import type { RemoteShell } from './remote-shell.ts';

/** Names of one system; the cache is shared by all its users. */
export interface NameService {
  /**
   * Name per uid, in the order given; an id without a name answers its decimal digits. `shell` runs a lookup; what it
   * answers is kept for `keptFor`, which lives as long as its user's shell does: the shell itself when left out.
   */
  users(shell: RemoteShell, uids: readonly number[], keptFor?: object): Promise<string[]>;
  /** The same for groups. */
  groups(shell: RemoteShell, gids: readonly number[], keptFor?: object): Promise<string[]>;
}

interface Names {
  readonly known: Map<number, { readonly name: string; readonly until: number }>;
  readonly lookups: Map<number, Promise<string>>;
  waiting: Map<number, (name: string) => void>;
}

const namesMax = 10_000;
const keepMs = 10 * 60_000;
/** A new account should not stay a number for long. */
const keepMissingMs = 60_000;
const batchMax = 500;

/**
 * What one user's shell answers is kept for that user only (by the identity of `keptFor`): people decide themselves what
 * `getent` means in their shell, and must not name files for others.
 */
export function createNameService(): NameService {
  const users = new WeakMap<object, Names>();
  const groups = new WeakMap<object, Names>();
  return {
    users: (shell, uids, keptFor = shell) => lookUp(namesFor(users, keptFor), 'passwd', shell, uids),
    groups: (shell, gids, keptFor = shell) => lookUp(namesFor(groups, keptFor), 'group', shell, gids),
  };
}

function namesFor(all: WeakMap<object, Names>, keptFor: object): Names {
  const names = all.get(keptFor) ?? { known: new Map(), lookups: new Map(), waiting: new Map() };
  all.set(keptFor, names);
  return names;
}

async function lookUp(
  names: Names,
  database: 'passwd' | 'group',
  shell: RemoteShell,
  ids: readonly number[],
): Promise<string[]> {
  return await Promise.all(ids.map((id) => nameOf(names, database, shell, id)));
}

function nameOf(names: Names, database: 'passwd' | 'group', shell: RemoteShell, id: number): string | Promise<string> {
  const known = names.known.get(id);
  if (known && known.until > Date.now()) return known.name;
  const underWay = names.lookups.get(id);
  if (underWay) return underWay;
  const lookup = new Promise<string>((resolve) => {
    if (names.waiting.size === 0) setImmediate(flush, names, database, shell);
    names.waiting.set(id, resolve);
  });
  names.lookups.set(id, lookup);
  return lookup;
}

/** All ids asked for within one turn of the event loop go into as few commands as possible. */
function flush(names: Names, database: 'passwd' | 'group', shell: RemoteShell): void {
  const waiting = [...names.waiting];
  names.waiting = new Map();
  for (let at = 0; at < waiting.length; at += batchMax) {
    const batch = waiting.slice(at, at + batchMax);
    void ask(database, shell, batch).then((found) => {
      for (const [id, resolve] of batch) {
        const name = found?.get(id);
        names.lookups.delete(id);
        if (found) remember(names, id, name);
        resolve(name ?? String(id));
      }
    });
  }
}

/** Undefined when the lookup failed; a listing with numbers is better than none, so that is no error. */
async function ask(
  database: 'passwd' | 'group',
  shell: RemoteShell,
  batch: readonly (readonly [number, unknown])[],
): Promise<Map<number, string> | undefined> {
  try {
    const { stdout } = await shell.run(['getent', database, ...batch.map(([id]) => String(id))]);
    return parseGetent(stdout.toString());
  } catch {
    return undefined; // the numbers stand, and nothing is remembered
  }
}

/** `alice:x:1001:1001::/home/alice:/bin/bash` or `staff:x:50:alice,bob`; glibc's getent. */
function parseGetent(text: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':');
    if (name && id && /^\d+$/.test(id) && !found.has(Number(id))) found.set(Number(id), name);
  }
  return found;
}

function remember(names: Names, id: number, name: string | undefined): void {
  names.known.delete(id);
  names.known.set(id, {
    name: name ?? String(id),
    until: Date.now() + (name === undefined ? keepMissingMs : keepMs),
  });
  const [oldest] = names.known.keys();
  if (names.known.size > namesMax && oldest !== undefined) names.known.delete(oldest);
}
