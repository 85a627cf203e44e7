/** Waiting with a deadline for something outside this process, which cannot tell us itself when it is ready. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { LabError } from './lab-error.ts';

export interface WaitOptions {
  timeoutMs: number;
  /** Pause between two looks. */
  intervalMs?: number;
  /** Log whose last lines are quoted when the time is up. */
  logFile?: string;
}

/** Looks again and again until `check` answers true; a check that throws counts as "not yet". Throws `TimedOut`. */
export async function waitUntil(what: string, check: () => Promise<boolean> | boolean, options: WaitOptions) {
  const deadline = Date.now() + options.timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      if (await check()) return;
    } catch (error) {
      if (error instanceof LabError && error.fault !== 'CommandFailed') throw error;
      lastError = error;
    }
    if (Date.now() > deadline) break;
    await delay(options.intervalMs ?? 25);
  }
  const tail = options.logFile === undefined ? '' : quoteLogTail(options.logFile);
  throw new LabError('TimedOut', `${what}: not within ${options.timeoutMs} ms.${tail}`, { cause: lastError });
}

/** The last lines of a log file, ready to stand at the end of an error message. */
export function quoteLogTail(logFile: string): string {
  const tail = logTail(logFile);
  return tail === '' ? `\n${logFile} is empty.` : `\nEnd of ${logFile}:\n${tail}`;
}

/** The last 15 lines (4,000 characters at most) of a log file, or nothing when there is no such file. */
export function logTail(logFile: string): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n').slice(-4_000);
  } catch {
    return '';
  }
}
