/** A tool of the cluster (cp, mv, rm, tar) that runs as long as it needs to, with its own exit status as the outcome. */
import type { Word } from '../../shared/commands/command-line.ts';
import type { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Progress } from '../../shared/tasks/task.ts';
import { unlessMissing } from '../operations/filesystem/unless-missing.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { Parked } from '../operations/parked.ts';
import { remoteFailure, type Saying } from '../operations/remote-failure.ts';
import { carryOut, mayBeRepeated } from './carry-out.ts';
import type { WorkReport } from './remote-work.ts';
import { readTransferJournal } from './transfer-journal.ts';

export interface ToolRun {
  /** For messages: the tool's name. */
  tool: string;
  /** `run` is 1 for the first. */
  argv: (run: number) => readonly Word[] | Promise<readonly Word[]>;
  isRepeatable: boolean;
  /** Charged where the tool runs in a batch job. */
  account: string | null;
  sayings?: readonly Saying[];
  /** It reads the bytes that it works on, so that those tell how far it is. */
  readsBytes: boolean;
  /** What an exit code of its own means; null: what the tool says tells. */
  refusalOf?: (exitCode: number) => BrokerError | null;
  /** Removed unless the tool came to a good end. */
  partialPath?: string;
}

/** Starts in a directory of its own, then goes where the tool is to run: `cd` there, then argv. */
export const inDirectory = 'cd -- "$1" && shift && exec "$@"';

/** Seconds it took, or that it goes on. Throws what the tool failed with. */
export async function runTool(run: ToolRun, context: OperationContext): Promise<{ seconds: number } | Parked> {
  const journal = readTransferJournal(context.journal.entry) ?? {
    phase: 'prepared',
    runs: 0,
    startedAt: 0,
    beat: 0,
    beatAt: 0,
  };
  try {
    const prepare = async (number: number) => ({ argv: await run.argv(number), input: '' });
    const { isRepeatable, account, readsBytes } = run;
    const work = { prepare, isRepeatable, account, totalBytes: null };
    const end = await carryOut(readsBytes ? { ...work, progressOf } : work, journal, context);
    if (end instanceof Parked) return end;
    if (end.exitCode === 0) return { seconds: end.seconds };
    const { exitCode, stdout, stderr } = end;
    const refusal = run.refusalOf?.(exitCode) ?? null;
    if (refusal !== null) throw refusal;
    throw remoteFailure(run.tool, { exitCode, stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) }, run.sayings);
  } catch (error) {
    if (run.partialPath !== undefined && !mayBeRepeated(error)) await discard(run.partialPath, context);
    throw error;
  }
}

/** How much there is nobody has counted. */
function progressOf({ phase, readBytes }: WorkReport, seconds: number): Progress {
  if (phase === 'queued') return { done: 0, total: null, unit: 'bytes', message: 'waiting for the scheduler' };
  const bytesPerSecond = seconds > 0 ? { bytesPerSecond: Math.round(readBytes / seconds) } : {};
  return { done: readBytes, total: null, unit: 'bytes', message: 'in progress', ...bytesPerSecond };
}

async function discard(path: string, { files, log }: OperationContext): Promise<void> {
  await unlessMissing(files.unlink(path)).catch((error: unknown) => {
    log.warn({ path, err: error }, 'a partial file was left behind');
  });
}
