/** All ten fields of stat(2) for paths on a system, as one of its users. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { beforeAbort } from './before-abort.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { shown } from './file-errors.ts';
import { openLasting } from './lasting-channel.ts';
import type { FileCallOptions, RemotePath } from './remote-files.ts';
import type { RemoteShell, ShellDefaults } from './remote-shell.ts';
import { createStatExec } from './stat-exec.ts';
import {
  type StatLoop,
  StatLoopLost,
  type StatQuestion,
  startStatLoop,
  statLoopArgv,
  statLoopLine,
} from './stat-loop.ts';

/** The fields `ops/stat` answers. Times are whole seconds since the epoch. */
export interface RemoteStat {
  /** st_mode, type bits included. */
  readonly mode: number;
  /** As a number; past 2^53 it is rounded, and `inoText` is exact. */
  readonly ino: number;
  readonly inoText: string;
  readonly dev: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly atime: number;
  readonly ctime: number;
  readonly mtime: number;
}

/** Concurrent use is expected: calls are pipelined over one channel. */
export interface RemoteStats {
  /**
   * lstat(2), or stat(2) with `dereference`. Throws FileNotFound (`stat: cannot statx 'PATH': No such file or
   * directory`), PermissionDenied, RemoteCommandFailed, CommandTimeout, SshNoChannel, SshUnavailable.
   */
  stat(path: RemotePath, options?: FileCallOptions & { readonly dereference?: boolean }): Promise<RemoteStat>;
  /**
   * The path without links, its last name perhaps missing, as RemoteFiles.realpath answers it; asked in the same turn as
   * a stat it travels with it. Null where it cannot be told this way: there is no loop, or the path does not resolve.
   */
  realpath(path: RemotePath, options?: FileCallOptions): Promise<Buffer | null>;
  /** All of a regular file, links followed, where it has at most 32 KiB and is not empty; null otherwise, and as for realpath. */
  content(path: RemotePath, options?: FileCallOptions): Promise<Buffer | null>;
}

export interface StatsDefaults {
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Shared by all users of a system: whether its hosts were found to have no usable perl. */
  readonly host: StatHost;
  readonly observe?: ShellDefaults['observe'];
}

/** What was learnt of a system's hosts. */
export interface StatHost {
  /** `performance.now()` until which no loop is tried. */
  loopMissingUntil: number;
}

/** A loop whose oldest question waits longer is thought to hang; others run `stat` meanwhile. */
const slowMs = 500;
const retryLoopAfterMs = 10 * 60_000;
const commandNotFound = 127;
/** How answers begin: a path, and the content of a file. */
const slash = 0x2f;
const contentFollows = 0x44;

export function createRemoteStats(
  pool: ConnectionPool,
  shell: RemoteShell,
  username: string,
  defaults: StatsDefaults,
): RemoteStats {
  const exec = createStatExec(shell);
  let opening: Promise<OpenLoop> | undefined;
  let current: OpenLoop | undefined;
  let loopMissingUntil = 0;

  async function openLoop(): Promise<OpenLoop> {
    const program = { argv: statLoopArgv, line: statLoopLine };
    const { channel, ended } = await openLasting(pool, username, program, defaults.observe);
    const forget = channel.connection.whenRetired(() => opened.loop.close(false));
    const loop = startStatLoop(channel, ({ isUnusable, exitCode }) => {
      ended({ exitCode: exitCode ?? null });
      forget();
      clearTimeout(opened.idle);
      if (current === opened) current = undefined;
      if (!isUnusable) return;
      loopMissingUntil = performance.now() + retryLoopAfterMs;
      if (exitCode === commandNotFound) defaults.host.loopMissingUntil = loopMissingUntil;
    });
    const idle = setTimeout(() => loop.close(false), defaults.idleTimeoutMs).unref();
    const opened: OpenLoop = { loop, park: channel.park, idle };
    current = opened;
    channel.park(true);
    return opened;
  }

  /** Undefined where the host has none, or while it waits for a file system that hangs. */
  async function useLoop(): Promise<OpenLoop | undefined> {
    if (current) return current.loop.oldestPendingMs < slowMs ? current : undefined;
    if (performance.now() < Math.max(loopMissingUntil, defaults.host.loopMissingUntil)) return undefined;
    opening ??= openLoop().finally(() => {
      opening = undefined;
    });
    return await opening;
  }

  async function askLoop({ loop, park, idle }: OpenLoop, path: Buffer, question: StatQuestion): Promise<Buffer> {
    park(false);
    try {
      return await loop.ask(path, question);
    } finally {
      idle.refresh();
      if (loop.pending === 0) park(true);
    }
  }

  /** A loop that broke is started again once. Null after that, and without one. */
  async function ask(path: Buffer, question: StatQuestion, isWanted: () => boolean): Promise<Buffer | null> {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const loop = await useLoop();
      if (!loop) break;
      // Nobody waits any more for what hung the last loop: asking again would hang this one.
      if (!isWanted()) throw new StatLoopLost('Nobody waits for the answer');
      try {
        return await askLoop(loop, path, question);
      } catch (error) {
        if (!(error instanceof StatLoopLost)) throw error;
      }
    }
    return null;
  }

  /** The answer of `work` before the deadline; a loop that does not give one is dropped. */
  async function inTime<T>(
    { timeoutMs = defaults.timeoutMs, signal }: FileCallOptions,
    work: (isWanted: () => boolean) => Promise<T>,
  ): Promise<T> {
    // A login and a slot are waited for within bounds of their own; the deadline is that of the file system.
    if (!current) await beforeAbort(useLoop(), signal);
    let isWanted = true;
    try {
      return await beforeDeadline(
        work(() => isWanted),
        timeoutMs,
        signal,
      );
    } catch (error) {
      isWanted = false;
      const isOverdue = error instanceof BrokerError && error.code === 'CommandTimeout';
      // Half: a question comes to the loop a little after its deadline began to run.
      if (isOverdue && (current?.loop.oldestPendingMs ?? 0) >= Math.min(slowMs, timeoutMs / 2))
        current?.loop.close(true);
      throw error;
    }
  }

  return {
    stat: async (path, { dereference = false, ...options } = {}) => {
      const bytes = pathBytes(path);
      const answer = await inTime(
        options,
        async (isWanted) =>
          (await ask(bytes, dereference ? 'stat' : 'lstat', isWanted))?.toString('latin1') ??
          (await exec.ask(bytes, dereference)),
      );
      return parseStat(path, answer);
    },
    realpath: async (path, options = {}) => {
      const answer = await inTime(options, (isWanted) => ask(pathBytes(path), 'realpath', isWanted));
      return answer?.[0] === slash ? answer : null;
    },
    content: async (path, options = {}) => {
      const answer = await inTime(options, (isWanted) => ask(pathBytes(path), 'content', isWanted));
      return answer?.[0] === contentFollows ? answer.subarray(1) : null;
    },
  };
}

function pathBytes(path: RemotePath): Buffer {
  const bytes = typeof path === 'string' ? Buffer.from(path) : path;
  if (bytes.length === 0 || bytes.includes(0)) throw new BrokerError('InvalidRequest', 'The path is not valid.');
  return bytes;
}

/** A loop with what its use has to touch. */
interface OpenLoop {
  readonly loop: StatLoop;
  readonly park: (isParked: boolean) => void;
  readonly idle: NodeJS.Timeout;
}

/** `33188 15 2049 1 0 0 12 1700000000 1700000000 1700000000`, or `E2 No such file or directory`, or `Estat: …`. */
function parseStat(path: RemotePath, answer: string): RemoteStat {
  if (answer.startsWith('E')) throw statError(path, answer.slice(1));
  const texts = answer.split(' ');
  const fields = texts.map(Number);
  const [mode, ino, dev, nlink, uid, gid, sizeBytes, atime, ctime, mtime] = fields;
  if (fields.length !== 10 || !fields.every(Number.isFinite)) {
    throw new BrokerError('RemoteCommandFailed', 'The host answered a stat in an unknown form.', {
      detail: { answer },
    });
  }
  const inoText = texts[1] ?? '';
  return { mode, ino, inoText, dev, nlink, uid, gid, sizeBytes, atime, ctime, mtime } as RemoteStat;
}

function statError(path: RemotePath, said: string): BrokerError {
  const [, reason = said] = /(?:^\d+ |: )([^:]*)$/.exec(said) ?? [];
  const message = `stat: cannot statx ${shown(path)}: ${reason}`;
  if (/No such file|Not a directory|Too many levels/.test(reason)) return new BrokerError('FileNotFound', message);
  if (/File name too long/.test(reason)) return new BrokerError('InvalidRequest', message);
  if (/Permission denied/.test(reason)) return new BrokerError('PermissionDenied', message);
  return new BrokerError('RemoteCommandFailed', message, { detail: { said } });
}

function beforeDeadline<T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const finish = (act: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      act();
    };
    const abort = () => finish(() => reject(signal?.reason));
    const overdue = () => reject(new BrokerError('CommandTimeout', 'The file system did not answer in time.'));
    const timer = setTimeout(() => finish(overdue), timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    work.then(
      (value) => finish(() => resolve(value)),
      (error: unknown) => finish(() => reject(error)),
    );
  });
}
