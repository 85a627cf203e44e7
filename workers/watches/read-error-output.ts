/** The last lines that a job wrote to its standard error, read as the user, bounded. That there are none is said, and is no failure. */
import { BrokerError, toBrokerError } from '../../shared/errors/broker-error.ts';
import { errorBytesMax, errorLinesMax, type JobDiagnosis } from '../../shared/watches/diagnosis.ts';
import type { PathGate } from '../operations/path-gate.ts';
import type { SchedulerAdapter, SchedulerHost } from '../schedulers/scheduler.ts';

export interface ErrorOutputSource {
  scheduler: Pick<SchedulerAdapter, 'metadata'>;
  host: SchedulerHost;
  pathGate: Pick<PathGate, 'contains'>;
}

export type ErrorOutput = JobDiagnosis['errorOutput'];

export function withoutLines(note: string, path: string | null = null): ErrorOutput {
  return { path, lines: [], isCut: false, note };
}

/** Of the part whose id that is. Throws on abort only. */
export async function readErrorOutput(
  { scheduler, host, pathGate }: ErrorOutputSource,
  partId: string,
  signal: AbortSignal,
): Promise<ErrorOutput> {
  let path: string | null = null;
  try {
    const parts = await scheduler.metadata(host, { jobId: partId, signal });
    path = (parts.find(({ jobId }) => jobId === partId) ?? parts[0])?.standardError ?? null;
    if (path === null) return withoutLines('The scheduler does not tell where the job wrote its errors.');
    if (!(await pathGate.contains(path, signal)))
      return withoutLines('The file lies outside the file systems of the system.', path);
    const name = path;
    return await host.files.withOpenFile(
      path,
      async ({ sizeBytes, read }) => {
        const from = Math.max(0, sizeBytes - errorBytesMax);
        const bytes = await read(from, errorBytesMax);
        return { path: name, ...lastLines(bytes, from > 0), note: bytes.length === 0 ? 'The file is empty.' : null };
      },
      { signal },
    );
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toBrokerError(thrown);
    return withoutLines(error instanceof BrokerError ? error.message : 'The file could not be read.', path);
  }
}

/** The end of a file as lines of text; what is not UTF-8 becomes U+FFFD, and control characters go. */
export function lastLines(bytes: Buffer, isFromMiddle: boolean): Pick<ErrorOutput, 'lines' | 'isCut'> {
  // A character that the cut split is not told as a wrong one.
  let start = 0;
  while (isFromMiddle && start < 3 && start < bytes.length && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1;
  const text = new TextDecoder().decode(bytes.subarray(start));
  const all = text.replace(/\n$/, '').split('\n');
  const lines = all.slice(-errorLinesMax).map((line) => line.replaceAll(/\p{Cc}/gu, (c) => (c === '\t' ? c : '')));
  const isEmpty = lines.length === 1 && lines[0] === '';
  return { lines: isEmpty ? [] : lines, isCut: isFromMiddle || all.length > errorLinesMax };
}
