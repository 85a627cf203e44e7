/**
 * Which paths a request may name: absolute, and under a configured file system of the system after `.` and `..` are
 * taken out. This is the check that needs no cluster; what links make of a path is looked at there by the worker.
 */
import { posix } from 'node:path';
import { BrokerError } from '../errors/broker-error.ts';
import type { Operation } from './operation.ts';

/** Where paths may lie. */
export interface PathScope {
  systemName: string;
  /** Absolute, normalised roots. */
  roots: readonly string[];
}

/** The file system in which a normalised path lies: the innermost of the roots above it, or undefined. */
export function findRoot(path: string, roots: readonly string[]): string | undefined {
  const above = roots.filter((root) => root === '/' || path === root || path.startsWith(`${root}/`));
  return above.reduce<string | undefined>(
    (inner, root) => (root.length > (inner?.length ?? 0) ? root : inner),
    undefined,
  );
}

/** The normalised path; a trailing slash stays, since it means "what the link points to". Throws PathNotAbsolute, PathNotAllowed. */
export function admitPath(path: string, scope: PathScope): string {
  if (!path.startsWith('/')) {
    throw new BrokerError('PathNotAbsolute', `The provided path (${path}) is not an absolute path.`);
  }
  const normal = posix.normalize(path);
  if (findRoot(normal, scope.roots) === undefined) throw pathNotAllowed(normal, scope.systemName);
  return normal;
}

/** FirecREST v2's words; `way` is what leads out of the file systems where the path itself does not. */
export function pathNotAllowed(path: string, systemName: string, way?: string): BrokerError {
  const reason = way === undefined ? '' : ` Its name does, but ${way} on the way leads out of them.`;
  return new BrokerError(
    'PathNotAllowed',
    `The provided path (${path}) does not match any of the defined filesystem paths for the requested system (${systemName}).${reason}`,
  );
}

/** The path fields in one form; `isLinkUnless` is null where every link is followed. */
export function pathFieldsOf({ paths }: Pick<Operation, 'paths'>): {
  field: string;
  isLinkUnless: readonly string[] | null;
}[] {
  return paths.map((path) => (typeof path === 'string' ? { field: path, isLinkUnless: null } : path));
}

/** The input with each of the operation's path fields admitted and normalised. */
export function admitPaths(
  operation: Pick<Operation, 'paths'>,
  input: Record<string, unknown>,
  scope: PathScope,
): Record<string, unknown> {
  const admitted = { ...input };
  for (const { field } of pathFieldsOf(operation)) {
    const path = admitted[field];
    if (typeof path === 'string') admitted[field] = admitPath(path, scope);
  }
  return admitted;
}
