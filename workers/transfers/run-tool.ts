/** A tool of the cluster (cp, mv, rm, tar) that runs as long as it needs to, with its own exit status as the outcome. */
import type { Word } from '../../shared/commands/command-line.ts';
import { unlessMissing } from '../operations/filesystem/unless-missing.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { Parked } from '../operations/parked.ts';
import { remoteFailure, type Saying } from '../operations/remote-failure.ts';
import { carryOut, mayBeRepeated } from './carry-out.ts';
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
    const { isRepeatable, account } = run;
    const end = await carryOut({ prepare, isRepeatable, account, totalBytes: null }, journal, context);
    if (end instanceof Parked) return end;
    if (end.exitCode === 0) return { seconds: end.seconds };
    const { exitCode, stdout, stderr } = end;
    throw remoteFailure(run.tool, { exitCode, stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) }, run.sayings);
  } catch (error) {
    if (run.partialPath !== undefined && !mayBeRepeated(error)) await discard(run.partialPath, context);
    throw error;
  }
}

async function discard(path: string, { files, log }: OperationContext): Promise<void> {
  await unlessMissing(files.unlink(path)).catch((error: unknown) => {
    log.warn({ path, err: error }, 'a partial file was left behind');
  });
}
