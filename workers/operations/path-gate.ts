/**
 * Which places on the cluster a request may reach: those that lie, with every link followed, in a file system of the
 * system. The API has compared the text of the paths before (shared/operations/paths.ts); this asks the cluster.
 */
import type { Operation } from '../../shared/operations/operation.ts';
import { pathFieldsOf, pathNotAllowed } from '../../shared/operations/paths.ts';
import { joinPath, type LocationOptions, realLocation, splitPath } from '../ssh/real-location.ts';
import type { RemoteFiles, RemotePath } from '../ssh/remote-files.ts';
import type { RemoteStats } from '../ssh/remote-stats.ts';
import { type RealRoots, rootsNearest } from './real-roots.ts';

export interface PathGate {
  /**
   * Resolves when every path of the input lies where it may; throws PathNotAllowed, and what asking the cluster throws.
   * What is missing or closed is for the handler to meet.
   */
  admit(operation: Pick<Operation, 'paths' | 'admission'>, input: unknown, signal: AbortSignal): Promise<void>;
  /** Whether what the path leads to lies in a file system of the system. */
  contains(path: RemotePath, signal: AbortSignal): Promise<boolean>;
  /** The configured file system that is, or lies in, what the path names (a link is itself); null where there is none. */
  rootWithin(path: RemotePath, signal: AbortSignal): Promise<string | null>;
}

export interface GateDependencies {
  systemName: string;
  /** As configured: absolute, normalised. */
  roots: readonly string[];
  realRoots: RealRoots;
  files: Pick<RemoteFiles, 'realpath' | 'lstat' | 'readlink'>;
  stats: Pick<RemoteStats, 'realpath'>;
  /** Whether the user's grant reaches these places. Forbidden, AuthorizationUnavailable. */
  checkReach?: (locations: readonly string[]) => Promise<void>;
}

/** For one system as one user. Cheap to make, per attempt. */
export function createPathGate(deps: GateDependencies): PathGate {
  const { systemName, roots, realRoots, files, stats, checkReach } = deps;
  const isOpen = roots.includes('/');
  /** Where the paths of the input lie that name a link itself, by their text: what was admitted is what is acted on. */
  const kept = new Map<RemotePath, Promise<Buffer>>();

  async function isInside(path: RemotePath, location: Buffer, signal: AbortSignal): Promise<boolean> {
    // A location has no links, so a root that it begins with has none either: the common case, and it costs nothing.
    if (roots.some((root) => liesIn(location, Buffer.from(root)))) return true;
    let failure: unknown;
    for (const root of rootsNearest(roots, path)) {
      try {
        if (liesIn(location, await realRoots(root, signal))) return true;
      } catch (error) {
        failure ??= error;
      }
    }
    // A root that could not be looked at may be the one it lies in.
    if (failure !== undefined) throw failure;
    return false;
  }

  /** Over the channel that the handler uses, so that both questions travel together. */
  async function locate(path: string, asked: Operation['admission'], options: LocationOptions): Promise<Buffer> {
    if (asked === 'with-stats') {
      const { directory, name } = splitPath(path, options.keepsLink === true);
      const real = await stats.realpath(directory, options);
      if (real !== null) return joinPath(real, name);
    }
    return await realLocation(files, path, options);
  }

  return {
    async admit({ paths, admission }, input, signal) {
      if (isOpen && checkReach === undefined) return;
      const fields = input as Readonly<Record<string, unknown>>;
      const checks = pathFieldsOf({ paths }).map(async ({ field, isLinkUnless }) => {
        const path = fields[field];
        if (typeof path !== 'string') return;
        const keepsLink = isLinkUnless?.every((name) => !isSet(fields[name])) ?? false;
        const locating = locate(path, admission, { keepsLink, signal });
        if (keepsLink) kept.set(path, locating);
        const location = await locating;
        if (!isOpen && !(await isInside(path, location, signal))) {
          throw pathNotAllowed(path, systemName, 'a symbolic link');
        }
        return location.toString();
      });
      const locations = await Promise.all(checks);
      await checkReach?.(locations.filter((location) => location !== undefined));
    },
    contains: async (path, signal) => isOpen || isInside(path, await realLocation(files, path, { signal }), signal),
    async rootWithin(path, signal) {
      const location = await (kept.get(path) ?? realLocation(files, path, { keepsLink: true, signal }));
      const held = roots.map(async (root) => {
        const asConfigured = Buffer.from(root);
        const real = await realRoots(root, signal).catch(() => asConfigured);
        return liesIn(asConfigured, location) || liesIn(real, location);
      });
      const at = (await Promise.all(held)).indexOf(true);
      return roots[at] ?? null;
    },
  };
}

/** An option that was not left out, and is not off. */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}

function liesIn(location: Buffer, root: Buffer): boolean {
  if (!location.subarray(0, root.length).equals(root)) return false;
  return location.length === root.length || root.at(-1) === 0x2f || location[root.length] === 0x2f;
}
