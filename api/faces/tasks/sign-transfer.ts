/**
 * GET /tasks/{id}/transfer: what a client of the native face does next about a transfer. Through the staging store: addresses
 * signed for it now, as many as it asks for, and anew when they have run out. Straight to the cluster: the way there.
 */
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { OperationName } from '../../../shared/operations/registry.ts';
import { traceIdOf } from '../../../shared/tasks/chain.ts';
import { type StagedFile, stagedFileOf } from '../../../shared/tasks/staged-file.ts';
import { isTerminal } from '../../../shared/tasks/states.ts';
import { streamEntryOf } from '../../../shared/tasks/stream-entry.ts';
import type { Task } from '../../../shared/tasks/task.ts';
import { wormholeEntryOf } from '../../../shared/tasks/wormhole-entry.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { invalidField } from '../../http/invalid-request.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { readQuery } from '../../http/query.ts';
import type { SystemsByName } from '../accept-task.ts';
import { type DirectWay, directWayOf, streamerWay, wormholeWay } from '../direct-way.ts';
import { readTaskId } from './read-task.ts';

/** Addresses in one answer. */
const signedMax = 1_000;
const signedDefault = 100;

const transferAddresses = z.object({
  transferMethod: z.literal('s3'),
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

/** The body of the answer. */
export const transferDirections = z.discriminatedUnion('transferMethod', [transferAddresses, streamerWay, wormholeWay]);

type Deps = Pick<AppDeps, 'gate' | 'stagings' | 'checkAccess'> & { systems: SystemsByName };

function numberOf(query: ReadonlyMap<string, string>, name: string, byDefault: number, max: number): number {
  const text = query.get(name);
  const number = text === undefined ? byDefault : Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= max) return number;
  throw invalidField('query', name, `must be a whole number from 1 to ${max}`);
}

/** Of which the client sends bytes to the store. */
export const uploads: ReadonlySet<string> = new Set<OperationName>(['transfer.upload', 'transfer.upload-tree']);
const downloads: ReadonlySet<string> = new Set<OperationName>(['transfer.download', 'transfer.download-tree']);

/** What of a task moves a file: itself, or a step of it, by the id that its traces have. */
type Transfer = Pick<Task, 'id' | 'operation' | 'system' | 'journal' | 'state'>;

/** The step that the query names; the present one where it names none. InvalidRequest. */
function transferOf(task: Task, name: string | undefined): Transfer {
  if (name === undefined || name === task.chain?.name) return { ...task, id: traceIdOf(task) };
  const n = task.chain?.steps.findIndex((step) => step.name === name) ?? -1;
  const step = task.chain?.steps[n];
  if (step === undefined) throw invalidField('query', 'step', 'must be the name of a step of the task');
  return { ...step, id: task.id, state: n < (task.chain?.at ?? 0) ? 'completed' : 'pending' };
}

/** InvalidRequest for a task that moves no file of a client's. */
function refuseOthers({ operation }: Transfer): void {
  if (uploads.has(operation) || downloads.has(operation)) return;
  throw new BrokerError('InvalidRequest', 'The task moves no file to or from a client.');
}

const notYet = (): BrokerError =>
  new BrokerError('TaskConflict', 'The task has not come so far yet; wait a moment.', { retryAfterSeconds: 1 });
const ended = ({ state }: Transfer): BrokerError =>
  new BrokerError('TaskConflict', `The task has ended; it is ${state}.`);

/** Null where the file does not go straight. TaskConflict where no client can come (yet, or any more). */
function straightWayOf(task: Transfer, systems: SystemsByName): DirectWay | null {
  const stream = streamEntryOf(task.journal);
  const entry = stream ?? wormholeEntryOf(task.journal);
  if (entry === null) return null;
  if (isTerminal(task.state)) throw ended(task);
  if (entry.isConnected) throw new BrokerError('TaskConflict', 'The client has come already, which it can do once.');
  const system = systems.get(task.system ?? '');
  const method = system?.dataOperation.dataTransfer?.type;
  if (system === undefined || method !== (stream === null ? 'wormhole' : 'streamer')) {
    throw new BrokerError('NotSupported', 'The system does not move files in this way any more.');
  }
  const way = stream !== null && stream.port === undefined ? null : directWayOf(task, system);
  if (way === null) throw notYet();
  return way;
}

/** The file that is staged. TaskConflict where nothing is to be done about it. */
function stagedOf(task: Transfer): StagedFile {
  const staged = stagedFileOf(task.journal);
  if (staged === null) throw isTerminal(task.state) ? ended(task) : notYet();
  if (isTerminal(task.state) && (task.state !== 'completed' || uploads.has(task.operation))) throw ended(task);
  return staged;
}

/** Throws TaskNotFound, TaskConflict, InvalidRequest; Forbidden where the grant was taken back meanwhile. */
export function signTransfer({ gate, stagings, systems, checkAccess }: Deps): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const query = readQuery(c);
    const task = transferOf(await gate.get(readTaskId(c), c.get('principal')), query.get('step'));
    await checkAccess(c.get('principal'), 'transfer', task.system, c.get('address'));
    refuseOthers(task);
    const way = straightWayOf(task, systems);
    if (way !== null) return jsonResponse(c, 200, way, { 'cache-control': 'no-store' });
    const staged = stagedOf(task);
    const signer = stagings.get(task.system ?? '');
    if (signer === undefined) throw new BrokerError('NotSupported', 'The system has no staging store any more.');
    const isUpload = uploads.has(task.operation);
    const first = numberOf(query, 'first', 1, staged.partsCount);
    const count = Math.min(numberOf(query, 'count', signedDefault, signedMax), staged.partsCount - first + 1);
    const urls = isUpload ? await signer.signParts(staged, first, count, 'client') : [];
    const body: z.infer<typeof transferAddresses> = {
      transferMethod: 's3',
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
