/**
 * What moves the bytes of a transfer between the staging store and a cluster. Which one a system has is said in its
 * configuration (`transfers.mover`); all of them keep the same promises (test/integration/mover-conformance.ts).
 */
import type { StagedFile } from '../../shared/tasks/staged-file.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import type { Parked } from '../operations/parked.ts';
import type { ObjectCheck } from './object-check.ts';
import type { TransferJournal } from './transfer-journal.ts';

/** From the store into a file. */
export interface Pull {
  staged: StagedFile;
  /** Where the bytes are gathered, beside the target; kept between looks, so that a later run goes on with it. */
  partPath: string;
  /** Takes its name at the end, and not before everything was checked. */
  path: string;
  /** What the file must add up to; null: nobody has said. */
  sha256: string | null;
  /** Where nobody has said; null: the store cannot say either. */
  check: ObjectCheck | null;
  /** Charged where the mover is a batch job. */
  account: string | null;
}

/** From a file into an upload in parts that was begun. */
export interface Push {
  staged: StagedFile;
  path: string;
  /** Of the file when it was found good; seconds since the epoch. */
  mtime: number;
  account: string | null;
}

export interface Moved {
  /** Of the whole, hexadecimal. */
  sha256: string;
  seconds: number;
}

export interface Pushed extends Moved {
  /** Of the parts in their order; with them the upload can be completed. */
  etags: string[];
}

/**
 * Each call is one look: it does what is due and says how it ended, or that it goes on. TransferFailed for what came
 * damaged, for a source that changed and for a store that refuses; PermissionDenied and the like for the file system's
 * refusals; TaskCanceled, DeadlineExceeded, OutcomeUnknown. What may pass (`mayBeRepeated`) leaves the partial file for
 * the next attempt. A second call after a good end has no other effect than the first.
 */
export interface Mover {
  pull(wish: Pull, journal: TransferJournal, context: OperationContext): Promise<Moved | Parked>;
  push(wish: Push, journal: TransferJournal, context: OperationContext): Promise<Pushed | Parked>;
}
