/**
 * A process's audit trail: what it appends is chained, written down as a line, and sent to Redis, in this order and at
 * once, without waiting. What Redis does not take is sent again until it does, up to a bound.
 */
import type { Logger } from 'pino';
import { BrokerError } from '../errors/broker-error.ts';
import type { AuditLines } from './audit-lines.ts';
import { type ChainedLine, type ChainKey, createChain } from './chain.ts';
import { type AuditFacts, ownerOfRecord } from './record.ts';

export interface StoredLine extends ChainedLine {
  writer: string;
  owner: string;
}

export interface AuditTrailDependencies {
  writer: string;
  key: ChainKey;
  /** Null: only Redis has the records. */
  lines: AuditLines | null;
  /** Whether it is kept now; false: something before it is missing. With `isFirst` nothing before it is asked for. */
  store: { append(line: StoredLine, isFirst: boolean): Promise<boolean> };
  log: Logger;
  /** Told of each attempt to write a record down, or to store it, that failed. */
  onFailure?: (place: 'file' | 'redis') => void;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

export interface AuditTrail {
  /** Its place in the chain. Never throws, and never waits. */
  append(facts: AuditFacts): number;
  /** Throws StoreUnavailable while records cannot be written down: then nothing is to be changed. */
  requireWritable(): void;
  /** Ends the chain, and waits for Redis to have all of it, at most 5 s. */
  close(): Promise<void>;
}

/** Records that wait for Redis, or for the disk, in one process; past it the oldest are left out there. */
const waitingMax = 10_000;
const retryMs = 500;
const closeMs = 5_000;

export function createAuditTrail(deps: AuditTrailDependencies): AuditTrail {
  const { writer, log, onFailure = () => undefined, now = Date.now } = deps;
  const chain = createChain(writer, deps.key);
  const disk = createLineWriter(deps.lines, () => onFailure('file'), log);
  const sender = createSender(deps.store, () => onFailure('redis'), log);
  const append = (facts: AuditFacts): number => {
    const line = chain(facts, now());
    disk.write(line.text);
    sender.send({ ...line, writer, owner: ownerOfRecord(facts) });
    return line.seq;
  };
  append({ kind: 'trail', action: 'trail.open', decision: 'begun' });
  return {
    append,
    requireWritable() {
      if (disk.isWhole()) return;
      const message = 'The audit trail cannot be written; nothing is changed meanwhile.';
      throw new BrokerError('StoreUnavailable', message, { retryAfterSeconds: 5 });
    },
    async close() {
      append({ kind: 'trail', action: 'trail.close', decision: 'completed' });
      await sender.drain(closeMs);
      disk.close();
    },
  };
}

/** Keeps what could not be written, and tries again in order. */
function createLineWriter(lines: AuditLines | null, onFailure: () => void, log: Logger) {
  const waiting: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  const catchUp = (): void => {
    while (waiting[0] !== undefined) {
      lines?.write(waiting[0]);
      waiting.shift();
    }
  };
  const attempt = (): void => {
    const wasWhole = timer === undefined;
    try {
      catchUp();
      clearInterval(timer);
      timer = undefined;
      if (!wasWhole) log.info('the audit trail is written down again');
    } catch (error) {
      onFailure();
      if (wasWhole) log.fatal({ err: error }, 'the audit trail cannot be written down: changes are refused');
      timer ??= setInterval(attempt, retryMs).unref();
      if (waiting.length > waitingMax) waiting.shift();
    }
  };
  return {
    write(text: string): void {
      if (lines === null) return;
      waiting.push(text);
      attempt();
    },
    isWhole: () => timer === undefined,
    close(): void {
      clearInterval(timer);
      lines?.close();
    },
  };
}

/** Many lines may be on their way at once; after one that failed, all that follow are refused, and sent again in order. */
function createSender(store: AuditTrailDependencies['store'], onFailure: () => void, log: Logger) {
  const waiting: StoredLine[] = [];
  let underWay = 0;
  let hasFailed = false;
  let isToRepeat = false;
  let onEmpty = (): void => {};

  const settle = (line: StoredLine, isKept: boolean): void => {
    underWay -= 1;
    if (isKept) {
      // They are kept in their order, so it is the first but where an earlier one had failed.
      const at = waiting.indexOf(line);
      if (at !== -1) waiting.splice(at, 1);
    } else {
      hasFailed = true;
      onFailure();
    }
    if (waiting.length === 0) onEmpty();
    if (!hasFailed || underWay > 0 || isToRepeat) return;
    isToRepeat = true;
    setTimeout(sendAll, retryMs).unref();
  };
  const start = (line: StoredLine, isFirst: boolean): void => {
    underWay += 1;
    store.append(line, isFirst).then(
      (isKept) => settle(line, isKept),
      (error: unknown) => {
        log.debug({ err: error }, 'an audit record waits for Redis');
        settle(line, false);
      },
    );
  };
  const sendAll = (): void => {
    isToRepeat = false;
    hasFailed = false;
    [...waiting].forEach((line, at) => {
      start(line, at === 0);
    });
  };
  return {
    send(line: StoredLine): void {
      if (waiting.length >= waitingMax) {
        const { seq } = waiting.shift() ?? line;
        if (seq % waitingMax === 0) log.error({ seq }, 'audit records are left out of Redis: too many wait for it');
      }
      waiting.push(line);
      // One that is not sent now is a gap to the next: then all that wait are sent again, in order.
      if (hasFailed || underWay >= waitingMax) hasFailed = true;
      else start(line, false);
    },
    async drain(waitMs: number): Promise<void> {
      if (waiting.length === 0) return;
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, waitMs);
        onEmpty = () => {
          clearTimeout(late);
          resolve();
        };
      });
    },
  };
}
