/** The staging store of a transfer of a tree: which one it is between two systems, and what is done with it. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { methodUnavailable } from '../../../shared/operations/transfer/transfer-method.ts';
import type { SystemConfig } from '../../../shared/platform/config/config.ts';
import type { Staging } from '../../../shared/staging/staging.ts';
import type { StagedFile } from '../../../shared/tasks/staged-file.ts';
import type { OperationContext, SystemSide } from '../../operations/operation-context.ts';
import { Parked } from '../../operations/parked.ts';
import { isUnwanted } from '../carry-out.ts';
import { beginStaging, unstage, whenStoreAnswers } from '../staged-transfer.ts';
import type { TransferJournal } from '../transfer-journal.ts';
import type { TreeJournal } from './tree-journal.ts';
import type { TreeReport } from './tree-report.ts';
import { type StoreAccess, treePartBytes } from './tree-stages.ts';

export interface TreeStore {
  staging: Staging;
  /** The system whose store it is. */
  owner: SystemSide;
  /** As one of the two systems reaches it: its own by the private address, the other's by the public one. */
  accessOf(side: SystemSide): StoreAccess;
}

function privateUrlOf({ dataOperation: { dataTransfer } }: SystemConfig): string | null {
  return dataTransfer?.type === 's3' ? dataTransfer.privateUrl.reveal() : null;
}

/** The source's own store, or the target's where the source reaches it. Throws TransferMethodUnavailable where there is none. */
export function storeBetween(source: SystemSide, target: SystemSide): TreeStore {
  const isDirect = source.system.transfers.directTo.includes(target.system.name.toLowerCase());
  const owner = isDirect && target.staging !== null ? target : source;
  const { staging } = owner;
  if (staging === null) throw methodUnavailable(source.system, 'system');
  const url = privateUrlOf(owner.system);
  return {
    staging,
    owner,
    accessOf: ({ system }) => ({ staging, audience: privateUrlOf(system) === url ? 'cluster' : 'client' }),
  };
}

/** Begins an upload of at most that many bytes. */
export function beginObject(
  name: string,
  bytesMax: number,
  { owner }: Pick<TreeStore, 'owner'>,
  { task }: Pick<OperationContext, 'task'>,
  partBytes = treePartBytes,
): Promise<StagedFile> {
  return beginStaging(name, bytesMax, partBytes, { ...owner, task });
}

/** Makes an object of the parts that were sent; null when it is there. Not for a task that nobody wants any more. */
export async function completeObject(
  staging: Staging,
  staged: StagedFile,
  { etags }: TreeReport,
  context: OperationContext,
): Promise<Parked | null> {
  if (isUnwanted(context)) {
    if (context.task.isCancelRequested) throw new BrokerError('TaskCanceled', 'The task was canceled.');
    throw new BrokerError('DeadlineExceeded', 'The deadline of the task passed.');
  }
  const sent = [...etags];
  if (sent.length === 0 || sent.includes(undefined as never)) {
    throw new BrokerError('TransferFailed', 'The mover did not tell of every part.');
  }
  const done = await whenStoreAnswers(() => staging.completeUpload(staged, sent), 'kept', context);
  return done instanceof Parked ? done : null;
}

/** Takes back all that the store holds of the transfer. What cannot be removed now expires there. */
export async function clearStore(
  { staged, listed }: Pick<TreeJournal, 'staged' | 'listed'>,
  staging: Staging,
  { log }: Pick<OperationContext, 'log'>,
): Promise<void> {
  for (const object of [staged, listed]) {
    if (object === undefined) continue;
    await unstage({ staged: object } as TransferJournal, { staging, log });
  }
}
