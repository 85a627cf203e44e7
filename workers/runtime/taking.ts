/**
 * The taking of queue entries whose tasks have begun already. It is sent when the first of these wishes to write something,
 * and what that writes goes along: one write and one sync of Redis's file for both.
 */
import type { EntryLock } from '../../shared/platform/task-store.ts';

/** What a task knows of the taking of its entry. */
export interface Taking {
  /** Has the taking sent, if it was not yet. Resolves when it was: what the same connection sends then is done after it. */
  send(): Promise<void>;
  /** Whether this worker got the entry. Never rejects. */
  isOurs: Promise<boolean>;
  /** What tells Redis so. */
  lock: EntryLock;
  /** Said of an entry that the API took for this worker. */
  isHanded?: true;
}

export interface EntriesTaking {
  /** Resolves when a task wishes to write, or `msMax` later. */
  wished(msMax: number): Promise<void>;
  /** Said when the taking was sent. */
  sent(): void;
  /** Said of the entries that this worker has got, once; no others come. */
  got(entryIds: readonly string[]): void;
  /** For the tasks of an entry. */
  of(entryId: string, lock: EntryLock): Taking;
}

export function createEntriesTaking(): EntriesTaking {
  const wish = createSignal<void>();
  const sending = createSignal<void>();
  const answer = createSignal<ReadonlySet<string>>();
  return {
    async wished(msMax) {
      const timer = setTimeout(() => wish.give(), msMax);
      await wish.given;
      clearTimeout(timer);
    },
    sent: () => sending.give(),
    got: (entryIds) => answer.give(new Set(entryIds)),
    of: (entryId, lock) => ({
      send() {
        wish.give();
        return sending.given;
      },
      isOurs: answer.given.then((entryIds) => entryIds.has(entryId)),
      lock,
    }),
  };
}

function createSignal<Value>(): { given: Promise<Value>; give: (value: Value) => void } {
  let give: (value: Value) => void = () => {};
  const given = new Promise<Value>((resolve) => {
    give = resolve;
  });
  return { given, give };
}
