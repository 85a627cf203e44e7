/** Where the configured file systems really lie: `/scratch` is often a link. Looked up when it matters, and kept a while. */
import { realLocation } from '../ssh/real-location.ts';
import type { RemoteFiles, RemotePath } from '../ssh/remote-files.ts';

/** The real place of a configured root, or where it would be; throws what asking the cluster throws. */
export type RealRoots = (root: string, signal: AbortSignal) => Promise<Buffer>;

/** A file system that an administrator moves is followed within a minute. */
const keepMs = 60_000;
/** Of all systems and users; past it everything is looked up again. */
const rootsMax = 10_000;

/** One cache for a worker. What a user may see of the way to a root is that user's affair, so it is kept for each. */
export function createRealRoots() {
  const kept = new Map<string, { at: number; value: Promise<Buffer> }>();
  return (owner: string, files: Pick<RemoteFiles, 'realpath' | 'lstat' | 'readlink'>): RealRoots =>
    async (root, signal) => {
      signal.throwIfAborted();
      const key = `${owner} ${root}`;
      const known = kept.get(key);
      if (known && Date.now() - known.at < keepMs) return await known.value;
      // Others wait for it too, so nobody's abort ends it; the file system's own deadline does.
      const value = realLocation(files, root);
      if (kept.size >= rootsMax) kept.clear();
      kept.set(key, { at: Date.now(), value });
      value.catch(() => kept.delete(key));
      return await value;
    };
}

/** Those that a path names first: the others need not be asked, and one of them may hang. */
export function rootsNearest(roots: readonly string[], path: RemotePath): string[] {
  const text = typeof path === 'string' ? path : path.toString();
  const names = (root: string): boolean => `${text}/`.startsWith(`${root}/`);
  return [...roots.filter(names), ...roots.filter((root) => !names(root))];
}
