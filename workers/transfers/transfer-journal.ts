/** What the looks at one transfer tell each other. It is in the task's record, and the API signs addresses from it. */
import { z } from 'zod';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { type StagedFile, stagedFile } from '../../shared/tasks/staged-file.ts';
import { streamEntry } from '../../shared/tasks/stream-entry.ts';
import { wormholeEntry } from '../../shared/tasks/wormhole-entry.ts';

const workEnd = z.object({ exitCode: z.int(), seconds: z.number(), stdout: z.string(), stderr: z.string() });

/** A part that passed through a worker. */
const streamedPart = z.object({ etag: z.string().optional() });

export const transferJournal = z.object({
  /**
   * `prepared`: found good, nothing moves yet. `waiting`: for the client's parts. `arrived`: they are there. `working`:
   * something may go on on the cluster. `ended`: that is over, and `end` says how.
   */
  phase: z.enum(['prepared', 'waiting', 'arrived', 'working', 'ended']),
  staged: stagedFile.optional(),
  /** Of an upload that has arrived: what the store says of its bytes; not there where that is nothing. */
  etag: z.string().optional(),
  /** Of an upload: what was left of the user's quota before; null where there is none or nobody knows. */
  quotaBytesLeft: z.number().nullish(),
  /** Of a download's file when it was found good; seconds since the epoch. */
  mtime: z.number().optional(),
  /** How often the work was started, and when it was last; milliseconds since the epoch. */
  runs: z.int().default(0),
  /** Runs of the stages before, where it has several. */
  runsBefore: z.int().optional(),
  startedAt: z.number().default(0),
  /** The last sign of life, and when it was first seen. */
  beat: z.number().default(0),
  beatAt: z.number().default(0),
  /** Runs in a row that brought nothing, and the bytes that were done when the last one began. */
  fruitlessRuns: z.int().optional(),
  begunBytes: z.number().optional(),
  end: workEnd.optional(),
  /** Of a file that goes straight between the client and the cluster. */
  stream: streamEntry.optional(),
  /** The same by Magic Wormhole. */
  wormhole: wormholeEntry.optional(),
  /** Of a mover through the worker: the parts that are done, in their order, and when the first began and the last ended. */
  streamed: z.array(streamedPart).optional(),
  /** They are moved once more, since what arrived was not what the store has. */
  isSecondGo: z.boolean().optional(),
  streamedFrom: z.number().optional(),
  streamedUntil: z.number().optional(),
});

export type TransferJournal = z.infer<typeof transferJournal>;
/** Nothing was done yet. */
export const newTransferJournal: TransferJournal = { phase: 'prepared', runs: 0, startedAt: 0, beat: 0, beatAt: 0 };

export type StreamedPart = z.infer<typeof streamedPart>;
export type WorkEnd = z.infer<typeof workEnd>;

/** The journal of earlier looks, or null. Throws ZodError for one that this version cannot read. */
export function readTransferJournal(entry: Record<string, unknown> | null): TransferJournal | null {
  return entry === null ? null : transferJournal.parse(entry);
}

/** What was staged. Internal where there is nothing: no look goes on to work on it before it has noted it. */
export function stagedOf({ staged }: Pick<TransferJournal, 'staged'>): StagedFile {
  if (staged === undefined) throw new BrokerError('Internal', 'The journal of the transfer names no staged file.');
  return staged;
}
