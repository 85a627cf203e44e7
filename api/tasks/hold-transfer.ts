/** A held request whose bytes travel past Redis, on its way to meet the worker that runs its task. */
import { v7 as uuidv7 } from 'uuid';
import type { AcceptRequest, Outcome } from './task-gate.ts';
import type { Waiters } from './waiters.ts';

export interface HeldTransfer {
  isReplay: false;
  id: string;
  /** The next address at which a worker waits; null when there will be none: see the outcome. */
  nextOffer(): Promise<string | null>;
  /** The end, waited for so long; a task that has not ended is as it is. */
  outcome(waitMs: number): Promise<Outcome>;
  /** Cancels a task that has not ended. */
  cancel(): Promise<void>;
  /** To be called in every case, once. */
  release(): void;
}

/** The task that an earlier request with the same idempotency key made; nobody waits for the bytes of this one. */
export interface EarlierTransfer {
  isReplay: true;
  id: string;
}

export interface HoldTransferDeps {
  waiters: Pick<Waiters, 'wait'>;
  /** Its errors say what is known. */
  accept: (request: AcceptRequest, id: string) => Promise<{ id: string; isNew: boolean }>;
  /** Counts a request of an owner until the answer is called. */
  countIn: (request: AcceptRequest) => () => void;
  stop: (id: string) => Promise<void>;
  outcome: (id: string) => Promise<Outcome>;
}

/** See `TaskGate.acceptTransfer`. */
export async function holdTransfer(
  { waiters, accept, countIn, stop, outcome }: HoldTransferDeps,
  request: AcceptRequest,
  signal: AbortSignal,
): Promise<HeldTransfer | EarlierTransfer> {
  const id = uuidv7();
  const wait = waiters.wait(id, request.holdMs);
  const countOut = countIn(request);
  const release = (): void => {
    wait.abandon();
    signal.removeEventListener('abort', wait.abandon);
    countOut();
  };
  signal.addEventListener('abort', wait.abandon, { once: true });
  if (signal.aborted) wait.abandon();
  const accepted = await accept(request, id).catch((error: unknown) => {
    release();
    throw error;
  });
  if (!accepted.isNew) {
    release();
    return { isReplay: true, id: accepted.id };
  }
  return {
    isReplay: false,
    id,
    nextOffer: wait.nextOffer,
    async outcome(waitMs) {
      wait.extend(waitMs);
      await wait.ended;
      return outcome(id);
    },
    cancel: () => stop(id),
    release,
  };
}
