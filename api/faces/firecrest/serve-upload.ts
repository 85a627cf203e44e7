/**
 * The route of an operation whose request is bytes: multipart/form-data with one part `file`. The body is read as far as
 * the file's name, then the task is accepted, and when a worker waits for them the bytes go there as they come.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Operation } from '../../../shared/operations/operation.ts';
import { isTerminal } from '../../../shared/tasks/states.ts';
import type { AppContext, SystemEntry } from '../../http/app-env.ts';
import { readChunks } from '../../http/body-chunks.ts';
import { invalidField } from '../../http/invalid-request.ts';
import { boundaryOf, type Part, readParts } from '../../http/multipart.ts';
import type { WorkerIntake } from '../../http/worker-port.ts';
import type { HeldTransfer } from '../../tasks/hold-transfer.ts';
import { acceptRequestOf, admitInput, findSystem, replayHeaders } from '../accept-task.ts';
import { answerEnd, answerHoldTimeout } from './answer-outcome.ts';
import { meetIntake } from './meet-intake.ts';
import { createInputReader } from './read-input.ts';
import { acceptUpload, answerRepeat } from './repeat-upload.ts';
import type { FaceDeps } from './serve-operation.ts';

/** Room for boundaries, headers and other fields beside the file. */
const besideFileBytesMax = 1024 * 1024;
/** Longest time without a byte from the client. */
const idleMs = 20_000;
/** Time for a worker that broke an upload off to say why. */
const endingMs = 3_000;
const partName = 'file';

/** `Prefer: respond-async` is not applied: the body must be sent. */
export function serveUpload(deps: FaceDeps, operation: Operation): (c: AppContext) => Promise<Response> {
  const reader = createInputReader(operation, deps.config.api.bodyBytesMax);
  return async (c) => {
    const system = findSystem(deps.systems, c.req.param('system_name') ?? '');
    await deps.checkAccess(c.get('principal'), operation.relation, system.name, c.get('address'));
    const query = await reader.read(c);
    // The path is looked at before the body: the name is one that is none's fault.
    const place = admitInput(operation, { ...query, fileName: 'x' }, system, reader.locate);
    deps.requireHealthy(operation, system, place);
    const bytesMax = system.dataOperation.maxOpsFileSizeBytes;
    const boundary = boundaryOf(c.req.header('content-type'));
    if (Number(c.req.header('content-length') ?? 0) > bytesMax + besideFileBytesMax) throw tooLarge(bytesMax);
    const body = readChunks(c.env.incoming, idleMs);
    try {
      const parts = readParts(body, boundary);
      const file = await findFile(parts);
      const input = admitInput(operation, { ...query, fileName: file.fileName }, system, locateName(reader.locate));
      return await hand(c, deps, { operation, system, input }, bounded(file, parts, bytesMax));
    } finally {
      body.release();
    }
  };
}

type Locate = ReturnType<typeof createInputReader>['locate'];

function locateName(locate: Locate): Locate {
  return (field) => (field === 'fileName' ? { location: 'body', name: partName } : locate(field));
}

/** The first part of the name; those before it are dropped. */
async function findFile(parts: AsyncGenerator<Part, void>): Promise<Part> {
  for (let next = await parts.next(); next.done !== true; next = await parts.next()) {
    if (next.value.name !== partName) continue;
    if (next.value.fileName === null)
      throw invalidField('body', `/${partName}`, 'must be sent as a file, with a file name');
    return next.value;
  }
  throw invalidField('body', `/${partName}`, 'is required');
}

/** The bytes of the file, and behind them nothing until the closing boundary was there. */
async function* bounded(file: Part, parts: AsyncGenerator<Part, void>, bytesMax: number): AsyncGenerator<Buffer, void> {
  let sizeBytes = 0;
  for await (const chunk of file.chunks) {
    sizeBytes += chunk.length;
    if (sizeBytes > bytesMax) throw tooLarge(bytesMax);
    yield chunk;
  }
  let besideBytes = 0;
  for (let next = await parts.next(); next.done !== true; next = await parts.next()) {
    if (next.value.name === partName) throw invalidField('body', `/${partName}`, 'must be sent once');
    for await (const chunk of next.value.chunks) besideBytes += chunk.length;
    if (besideBytes > besideFileBytesMax) throw tooLarge(bytesMax);
  }
}

interface Wish {
  operation: Operation;
  system: SystemEntry;
  input: Record<string, unknown>;
}

async function hand(c: AppContext, deps: FaceDeps, wish: Wish, bytes: AsyncGenerator<Buffer, void>): Promise<Response> {
  const { operation, system, input } = wish;
  const { holdMs } = deps.config.api;
  const deadlineAt = deps.now() + holdMs + operation.timeoutMs;
  const request = acceptRequestOf(c, { operation, system: system.name, input, isHeld: true, holdMs, deadlineAt });
  const transfer = await acceptUpload(deps.gate, request, c.req.raw.signal);
  c.set('taskId', transfer.id);
  const replyHeaders = replayHeaders(request, transfer.isReplay);
  c.set('replyHeaders', replyHeaders);
  if (transfer.isReplay) return await answerRepeat(c, deps.gate, operation, { ...request, id: transfer.id }, bytes);
  try {
    const intake = await meetIntake(deps.workers, transfer);
    if (intake === null) return await answerUnmet(c, operation, transfer);
    const isHanded = await pour(intake, bytes).catch(async (error: unknown) => {
      await transfer.cancel();
      throw error;
    });
    // A worker that did not take all of it is ending the task, or is lost; then nobody else must wait for these bytes.
    const outcome = await transfer.outcome(isHanded ? holdMs : endingMs);
    if (isTerminal(outcome.state)) return answerEnd(c, operation, outcome, replyHeaders);
    if (isHanded) return answerHoldTimeout(c, deps.config, operation, transfer.id);
    await transfer.cancel();
    throw new BrokerError('WorkerLost', 'The worker was lost before it said that it had the whole file.');
  } finally {
    transfer.release();
  }
}

/** No worker waited for the bytes: the task failed before, or its turn did not come. */
async function answerUnmet(c: AppContext, operation: Operation, transfer: HeldTransfer): Promise<Response> {
  const outcome = await transfer.outcome(0);
  if (isTerminal(outcome.state)) return answerEnd(c, operation, outcome, {});
  await transfer.cancel();
  throw new BrokerError('HoldTimeout', 'The upload did not begin in time and was canceled.');
}

/** Whether the worker has said that it has every byte. Throws what reading the client's body threw. */
async function pour(intake: WorkerIntake, bytes: AsyncGenerator<Buffer, void>): Promise<boolean> {
  try {
    for await (const chunk of bytes) {
      if (!intake.isOpen()) break;
      const room = intake.write(chunk);
      if (room) await room;
    }
  } catch (error) {
    intake.close();
    throw error;
  }
  return await intake.end();
}

function tooLarge(bytesMax: number): BrokerError {
  return new BrokerError('BodyTooLarge', `File to upload is too large. At most ${bytesMax} bytes are taken here.`);
}
