/**
 * Which paths a request may name: absolute, and under a configured file system of the system after `.` and `..` are
 * taken out. What links make of a path is looked at on the cluster; this is the check that needs no cluster.
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

/** The normalised path; a trailing slash stays, since it means "what the link points to". Throws PathNotAbsolute, PathNotAllowed. */
export function admitPath(path: string, scope: PathScope): string {
  if (!path.startsWith('/')) {
    throw new BrokerError('PathNotAbsolute', `The provided path (${path}) is not an absolute path.`);
  }
  const normal = posix.normalize(path);
  const isInside = scope.roots.some((root) => root === '/' || normal === root || normal.startsWith(`${root}/`));
  if (!isInside) {
    throw new BrokerError(
      'PathNotAllowed',
      `The provided path (${normal}) does not match any of the defined filesystem paths for the requested system (${scope.systemName}).`,
    );
  }
  return normal;
}

/** The input with each of the operation's path fields admitted and normalised. */
export function admitPaths(
  operation: Pick<Operation, 'paths'>,
  input: Record<string, unknown>,
  scope: PathScope,
): Record<string, unknown> {
  const admitted = { ...input };
  for (const field of operation.paths) {
    const path = admitted[field];
    if (typeof path === 'string') admitted[field] = admitPath(path, scope);
  }
  return admitted;
}
