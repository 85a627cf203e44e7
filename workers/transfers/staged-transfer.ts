/** What upload and download share: the staging store of the system, the mover's outcome, and cleaning up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { methodUnavailable } from '../../shared/operations/transfer/transfer-method.ts';
import { bucketName, objectKey } from '../../shared/staging/bucket-name.ts';
import { planParts } from '../../shared/staging/part-plan.ts';
import type { Staging } from '../../shared/staging/staging.ts';
import type { StagedFile } from '../../shared/tasks/staged-file.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { Parked } from '../operations/parked.ts';
import type { Moved } from './mover.ts';
import type { TransferJournal } from './transfer-journal.ts';

/** Ranges and parts of this size leave enough of them to move several at once, and are large enough to be fast. */
export const movedPartBytes = 64 * 2 ** 20;

const mebi = 2 ** 20;
const sentPartBytesMax = 2 * movedPartBytes;

/**
 * Bytes of a part, whole MiB, of a file that is sent by so many lanes: the lanes are full in every round, and the rounds as few as
 * may be, since at the end of each of them the link lies still until the store has answered.
 */
export function sentPartBytes(sizeBytes: number, lanes: number): number {
  const rounds = Math.max(1, Math.ceil(sizeBytes / (lanes * sentPartBytesMax)));
  const even = Math.ceil(sizeBytes / (lanes * rounds) / mebi) * mebi;
  return Math.min(sentPartBytesMax, Math.max(movedPartBytes, even));
}

/** The store. Throws TransferMethodUnavailable where the system has none (any more). */
export function stagingOf({ staging, system }: Pick<OperationContext, 'staging' | 'system'>): Staging {
  if (staging === null) throw methodUnavailable(system);
  return staging;
}

/** Parts that move at the same time. */
export function lanesOf({ system }: Pick<OperationContext, 'system'>): number {
  const { dataTransfer } = system.dataOperation;
  return dataTransfer?.type === 's3' ? dataTransfer.multipart.parallelRuns : 1;
}

/** Begins an upload in parts to a place of the task's own. */
export async function beginStaging(
  path: string,
  sizeBytes: number,
  wishedPartBytes: number,
  context: Pick<OperationContext, 'staging' | 'system' | 'username' | 'task'>,
): Promise<StagedFile> {
  const staging = stagingOf(context);
  const object = {
    bucket: bucketName(context.username, context.system.transfers.bucketPrefix),
    key: objectKey(context.task.id, path),
  };
  await staging.prepareBucket(object.bucket);
  const uploadId = await staging.beginUpload(object);
  return { ...object, uploadId, sizeBytes, ...planParts(sizeBytes, wishedPartBytes) };
}

/** Time until a store that does not answer is asked again. */
const storeWaitMs = 5_000;

/** What the work gives, or a later look where the store does not answer just now and there is time left. */
export async function whenStoreAnswers<T>(
  work: () => Promise<T>,
  place: 'aside' | 'kept',
  { task, log }: Pick<OperationContext, 'task' | 'log'>,
): Promise<T | Parked> {
  try {
    return await work();
  } catch (error) {
    const mayPass = error instanceof BrokerError && error.code === 'StagingUnavailable';
    if (!mayPass || task.isCancelRequested || Date.now() >= task.deadlineAt) throw error;
    log.info({ err: error }, 'the staging store could not be asked');
    return new Parked({ place, waitMs: storeWaitMs });
  }
}

/** Time for which a store that does not answer is asked again to remove something; the wait doubles. */
const removeMsMax = 5_000;
const firstRemoveWaitMs = 250;

/** Takes back what the store holds of a transfer. What cannot be removed within seconds expires there. */
export async function unstage(
  journal: TransferJournal | null,
  context: Pick<OperationContext, 'staging' | 'log'>,
): Promise<void> {
  if (journal?.staged !== undefined) await removeStaged(journal.staged, context);
}

/** The same of an object whose bytes have arrived. */
export async function removeStaged(
  staged: StagedFile,
  context: Pick<OperationContext, 'staging' | 'log'>,
): Promise<void> {
  const { staging, log } = context;
  if (staging === null)
    return log.warn({ key: staged.key }, 'staged bytes were left: the system has no store any more');
  const removals = [() => staging.abortUploads(staged), () => staging.removeObject(staged)];
  const removed = await Promise.allSettled(removals.map(insist));
  for (const result of removed) {
    if (result.status === 'rejected') log.warn({ err: result.reason, key: staged.key }, 'staged bytes were left');
  }
}

/** Nobody comes back to what is left, so a fault that may pass is waited for. */
async function insist(remove: () => Promise<void>): Promise<void> {
  const until = performance.now() + removeMsMax;
  for (let waitMs = firstRemoveWaitMs; ; waitMs *= 2) {
    try {
      return await remove();
    } catch (error) {
      const mayPass = error instanceof BrokerError && error.code === 'StagingUnavailable';
      if (!mayPass || performance.now() + waitMs > until) throw error;
      await sleep(waitMs);
    }
  }
}

/** Facts of a good end, for the result. */
export function movedFacts(bytes: number, { sha256, seconds }: Moved) {
  const megabytesPerSecond = Math.round(bytes / 1e4 / Math.max(seconds, 0.01)) / 100;
  return { bytes, sha256, seconds, megabytesPerSecond };
}
