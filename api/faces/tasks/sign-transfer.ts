/**
 * GET /tasks/{id}/transfer: what a client of the native face does next about a transfer through the staging store, with
 * addresses signed for it now, as many as it asks for. They can be asked for again when they have run out.
 */
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { OperationName } from '../../../shared/operations/registry.ts';
import { type StagedFile, stagedFileOf } from '../../../shared/tasks/staged-file.ts';
import { isTerminal } from '../../../shared/tasks/states.ts';
import { streamEntryOf } from '../../../shared/tasks/stream-entry.ts';
import type { Task } from '../../../shared/tasks/task.ts';
import { wormholeEntryOf } from '../../../shared/tasks/wormhole-entry.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { invalidField } from '../../http/invalid-request.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { readQuery } from '../../http/query.ts';
import { readTaskId } from './read-task.ts';

/** Addresses in one answer. */
const signedMax = 1_000;
const signedDefault = 100;

/** The body of the answer. */
export const transferAddresses = z.object({
  sizeBytes: z.int(),
  partSizeBytes: z.int().describe('Bytes of every part but the last'),
  partsCount: z.int(),
  parts: z.array(z.object({ number: z.int(), url: z.string() })).describe('Of an upload: where to PUT parts'),
  partsUrl: z
    .string()
    .nullable()
    .describe('Of an upload: where to GET which parts are there, with their ETags, as S3 tells it (ListParts)'),
  completeUrl: z.string().nullable().describe('Of an upload: where to POST the list of its parts'),
  downloadUrl: z.string().nullable().describe('Of a download: where the file is once the task has completed'),
});

type Deps = Pick<AppDeps, 'gate' | 'stagings' | 'checkAccess'>;

function numberOf(query: ReadonlyMap<string, string>, name: string, byDefault: number, max: number): number {
  const text = query.get(name);
  const number = text === undefined ? byDefault : Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= max) return number;
  throw invalidField('query', name, `must be a whole number from 1 to ${max}`);
}

/** Of which the client sends bytes to the store. */
export const uploads: ReadonlySet<string> = new Set<OperationName>(['transfer.upload', 'transfer.upload-tree']);
const downloads: ReadonlySet<string> = new Set<OperationName>(['transfer.download', 'transfer.download-tree']);

/** What of a task moves a file: itself, or a step of it. */
type Transfer = Pick<Task, 'operation' | 'system' | 'journal' | 'state'>;

/** The step that the query names; the present one where it names none. InvalidRequest. */
function transferOf(task: Task, name: string | undefined): Transfer {
  if (name === undefined || name === task.chain?.name) return task;
  const n = task.chain?.steps.findIndex((step) => step.name === name) ?? -1;
  const step = task.chain?.steps[n];
  if (step === undefined) throw invalidField('query', 'step', 'must be the name of a step of the task');
  return { ...step, state: n < (task.chain?.at ?? 0) ? 'completed' : 'pending' };
}

/** The file that is staged. TaskConflict where nothing is to be done about it, InvalidRequest for another task. */
function stagedOf(task: Transfer): StagedFile {
  if (!uploads.has(task.operation) && !downloads.has(task.operation)) {
    throw new BrokerError('InvalidRequest', 'The task is no transfer through the staging store.');
  }
  if (streamEntryOf(task.journal) !== null || wormholeEntryOf(task.journal) !== null) {
    const where = 'the way to it is in the answer of POST /filesystem/{system_name}/transfer/…, which began it';
    throw new BrokerError('InvalidRequest', `The file goes straight between client and cluster; ${where}.`);
  }
  const staged = stagedFileOf(task.journal);
  if (staged === null) throw new BrokerError('TaskConflict', 'The task has not been looked at yet; wait a moment.');
  const isOver = isTerminal(task.state) && (task.state !== 'completed' || uploads.has(task.operation));
  if (isOver) throw new BrokerError('TaskConflict', `The task has ended; it is ${task.state}.`);
  return staged;
}

/** Throws TaskNotFound, TaskConflict, InvalidRequest; Forbidden where the grant was taken back meanwhile. */
export function signTransfer({ gate, stagings, checkAccess }: Deps): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const query = readQuery(c);
    const task = transferOf(await gate.get(readTaskId(c), c.get('principal')), query.get('step'));
    await checkAccess(c.get('principal'), 'transfer', task.system, c.get('address'));
    const staged = stagedOf(task);
    const signer = stagings.get(task.system ?? '');
    if (signer === undefined) throw new BrokerError('NotSupported', 'The system has no staging store any more.');
    const isUpload = uploads.has(task.operation);
    const first = numberOf(query, 'first', 1, staged.partsCount);
    const count = Math.min(numberOf(query, 'count', signedDefault, signedMax), staged.partsCount - first + 1);
    const urls = isUpload ? await signer.signParts(staged, first, count, 'client') : [];
    const body: z.infer<typeof transferAddresses> = {
      sizeBytes: staged.sizeBytes,
      partSizeBytes: staged.partSizeBytes,
      partsCount: staged.partsCount,
      parts: urls.map((url, index) => ({ number: first + index, url })),
      partsUrl: isUpload ? await signer.signPartsList(staged, first) : null,
      completeUrl: isUpload ? await signer.signCompletion(staged) : null,
      downloadUrl: isUpload ? null : await signer.signDownload(staged, 'client'),
    };
    return jsonResponse(c, 200, body, { 'cache-control': 'no-store' });
  };
}
