/** A good request for every operation of the registry, for tests that walk the registry and then spoil one thing. */
import { hasBody, type Operation } from '../../shared/operations/operation.ts';
import type { OperationName } from '../../shared/operations/registry.ts';

export type Input = Record<string, unknown>;

/** Of a cluster that other tests use at the same time: what is asked of it is asked of no job of theirs. */
const noJob = '60000000';

/** Input that each operation accepts; the path is one that every user may look at. An operation without one does not compile. */
export const goodInputs = {
  'compute.attach': { jobId: noJob, command: 'true' },
  'compute.await-job': { jobId: noJob },
  'compute.cancel-job': { jobId: noJob },
  'compute.diagnose-job': { jobId: noJob },
  'compute.estimate-job': { job: { workingDirectory: '/tmp', script: '#!/bin/sh\nexit 0\n' } },
  'compute.get-job': { jobId: noJob },
  'compute.hold-job': { jobId: noJob },
  'compute.job-logs': { jobId: noJob },
  'compute.job-metadata': { jobId: noJob },
  'compute.list-jobs': {},
  'compute.modify-job': { jobId: noJob, name: 'another' },
  'compute.release-job': { jobId: noJob },
  'compute.submit-job': { job: { workingDirectory: '/tmp', script: '#!/bin/sh\nexit 0\n' } },
  'compute.watch-job': { jobId: noJob },
  'filesystem.checksum': { path: '/tmp/goldcrest-none' },
  'filesystem.chmod': { path: '/tmp/goldcrest-none', mode: '600' },
  'filesystem.chown': { path: '/tmp/goldcrest-none', owner: '', group: '' },
  'filesystem.compress': { path: '/tmp/goldcrest-none', targetPath: '/tmp/goldcrest-none.tgz' },
  'filesystem.download': { path: '/tmp/goldcrest-none' },
  'filesystem.extract': { path: '/tmp/goldcrest-none.tgz', targetPath: '/tmp/goldcrest-none' },
  'filesystem.file': { path: '/tmp/goldcrest-none' },
  'filesystem.head': { path: '/tmp/goldcrest-none' },
  'filesystem.ls': { path: '/tmp' },
  'filesystem.mkdir': { path: '/tmp/goldcrest-none/none' },
  'filesystem.rm': { path: '/tmp/goldcrest-none' },
  'filesystem.stat': { path: '/tmp' },
  'filesystem.symlink': { path: '/tmp/goldcrest-none', linkPath: '/tmp/goldcrest-none/none' },
  'filesystem.tail': { path: '/tmp/goldcrest-none' },
  'filesystem.upload': { path: '/tmp/goldcrest-none', fileName: 'goldcrest-none' },
  'filesystem.view': { path: '/tmp/goldcrest-none' },
  'status.nodes': {},
  'status.partitions': {},
  'status.reservations': {},
  'status.systems': {},
  'status.userinfo': {},
  'transfer.compress': { path: '/tmp/goldcrest-none', targetPath: '/tmp/goldcrest-none.tgz' },
  'transfer.copy': {
    path: '/tmp/goldcrest-none',
    targetSystem: 'other',
    targetPath: '/tmp/goldcrest-none-2',
  },
  'transfer.cp': { path: '/tmp/goldcrest-none', targetPath: '/tmp/goldcrest-none-2' },
  'transfer.download': { path: '/tmp/goldcrest-none', transferDirectives: { transferMethod: 's3' } },
  'transfer.download-tree': { path: '/tmp/goldcrest-none' },
  'transfer.extract': { path: '/tmp/goldcrest-none.tgz', targetPath: '/tmp/goldcrest-none' },
  'transfer.mv': { path: '/tmp/goldcrest-none', targetPath: '/tmp/goldcrest-none-2' },
  'transfer.rm': { path: '/tmp/goldcrest-none' },
  'transfer.upload-tree': { path: '/tmp/goldcrest-none', archiveBytesMax: 1 },
  'transfer.upload': { path: '/tmp/goldcrest-none', transferDirectives: { transferMethod: 's3', fileSize: 1 } },
} as const satisfies { [Name in OperationName]: Input };

export interface HttpRequest {
  method: string;
  path: string;
  body?: unknown;
}

/** The request on FirecREST's face. */
export function firecrestRequest(operation: Operation, system: string, input: Input): HttpRequest {
  const { method, path, params = {} } = operation.firecrest;
  const rest = { ...input };
  const address = path.replaceAll(/\{(\w+)\}/g, (_match, name: string) => {
    const field = params[name];
    if (field === undefined) return system;
    const value = String(rest[field]);
    delete rest[field];
    return encodeURIComponent(value);
  });
  if (hasBody(operation)) return { method, path: address, body: rest };
  const { fileName, ...inQuery } = rest;
  const query = new URLSearchParams(
    Object.entries(operation.bytes === 'in' ? inQuery : rest).map(([name, value]): [string, string] => [
      name,
      String(value),
    ]),
  );
  const request = { method, path: query.size === 0 ? address : `${address}?${query}` };
  if (operation.bytes !== 'in') return request;
  const body = new FormData();
  body.set('file', new Blob(['x']), String(fileName));
  return { ...request, body };
}

/** The same on the native face. */
export function taskRequest(operation: Operation, system: string, input: Input): HttpRequest {
  const where = operation.scope === 'system' ? { system } : {};
  return { method: 'POST', path: '/tasks', body: { operation: operation.name, ...where, input } };
}
