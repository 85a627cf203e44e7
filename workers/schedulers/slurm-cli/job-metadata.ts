/**
 * What a job was made of. The controller knows the files of its jobs and their scripts; later the accounting knows the
 * script where the site keeps it (AccountingStoreFlags=job_script), and the files from Slurm 24.05 on.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { JobMetadata } from '../../../shared/operations/compute/job-metadata.ts';
import type { JobRequest, SchedulerHost } from '../scheduler.ts';
import { newDelimiter, parseRows } from './delimited.ts';
import { expandFileName, firstHost, type NamedJob } from './file-names.ts';
import { isWanted, isWhole, queueOutput } from './job-rows.ts';
import { inOrder } from './merge-jobs.ts';
import { buildSacctFields, isWithoutAccounting } from './sacct.ts';
import { failed, type Run } from './slurm-command.ts';
import { requireJobId, type SlurmJobId } from './slurm-job-id.ts';
import { buildSqueueFields } from './squeue.ts';
import { textOrNull } from './values.ts';

/** Unlike `scontrol show job`, which a job's name can fill with fields of its own, squeue separates them safely. */
const queueFields = [
  'JobArrayID',
  'JobID',
  'BatchFlag',
  'BatchHost',
  'UserName',
  'Name',
  'WorkDir',
  'STDIN',
  'STDOUT',
  'STDERR',
] as const;

const accountingFields = ['JobID', 'JobIDRaw', 'User', 'NodeList', 'JobName', 'WorkDir'] as const;
/** From Slurm 24.05 on, as they were given. */
const accountingFileFields = [...accountingFields, 'StdIn', 'StdOut', 'StdErr'] as const;

interface JobFiles extends NamedJob {
  /** False for an allocation without a batch script. */
  isBatch: boolean;
  input: string | null;
  output: string | null;
  error: string | null;
}

/** An entry for each part of the job. JobNotFound, SchedulerFailed. */
export async function jobMetadata(
  run: Run,
  host: SchedulerHost,
  { jobId, signal }: JobRequest,
): Promise<JobMetadata[]> {
  const wanted = requireJobId(jobId);
  const queued = await queuedFiles(run, host, wanted, signal);
  const isEnough = queued.length > 0 && isWhole(ids(queued), wanted);
  const accounted = isEnough
    ? []
    : await accountedFiles(run, host, wanted, signal).catch((error: unknown) => {
        if (queued.length === 0 || signal.aborted) throw error;
        return []; // What the controller knows stands without the parts that it has forgotten.
      });
  const files = inOrder([...queued, ...accounted.filter((row) => !isShown(row, queued))]);
  const [first] = files;
  if (!first) throw new BrokerError('JobNotFound', 'Job not found.');
  const script = await batchScript(run, host, { wanted, jobId: first.jobId }, signal);
  return files.map((file) => ({
    jobId: file.jobId,
    script: file.isBatch ? script : null,
    standardInput: expandFileName(file.input, file),
    standardOutput: expandFileName(file.output, file),
    standardError: expandFileName(file.error, file),
  }));
}

function ids(files: readonly JobFiles[]): string[] {
  return files.map((file) => file.jobId);
}

/** By Slurm's own number: a range of elements in the accounting may be single ones in the queue by now. */
function isShown(row: JobFiles, queued: readonly JobFiles[]): boolean {
  return queued.some((known) => known.rawId === row.rawId || known.jobId === row.jobId);
}

async function queuedFiles(
  run: Run,
  host: SchedulerHost,
  wanted: SlurmJobId,
  signal: AbortSignal,
): Promise<JobFiles[]> {
  const delimiter = newDelimiter();
  const output = await queueOutput(run, host, buildSqueueFields(wanted.base, queueFields, delimiter), signal);
  return parseQueuedFiles(output, delimiter).filter((file) => isWanted(file.jobId, wanted));
}

/** Slurm 22.05.8: `2_1¦5¦1¦n1¦gcalice¦arr¦/home/gcalice¦/dev/null¦/home/gcalice/o-%A.txt¦/home/gcalice/o-%A.txt¦`. */
export function parseQueuedFiles(output: string, delimiter: string): JobFiles[] {
  return parseRows(output, queueFields, delimiter).map((row) => {
    const isBatch = row.BatchFlag === '1';
    const host = row.BatchHost === 'n/a' ? null : textOrNull(row.BatchHost);
    return {
      jobId: row.JobArrayID,
      rawId: row.JobID,
      name: row.Name,
      username: row.UserName,
      workingDirectory: row.WorkDir,
      firstNode: isBatch ? host : null,
      isBatch,
      // For an allocation squeue shows the default of a batch job.
      input: isBatch ? textOrNull(row.STDIN) : null,
      output: isBatch ? textOrNull(row.STDOUT) : null,
      error: isBatch ? textOrNull(row.STDERR) : null,
    };
  });
}

async function accountedFiles(
  run: Run,
  host: SchedulerHost,
  wanted: SlurmJobId,
  signal: AbortSignal,
): Promise<JobFiles[]> {
  const delimiter = newDelimiter();
  const ask = (fields: readonly string[]) => run(host, buildSacctFields(wanted.base, fields, delimiter), signal);
  let fields: typeof accountingFields | typeof accountingFileFields = accountingFileFields;
  let result = await ask(fields);
  if (result.exitCode !== 0 && /Invalid field requested/.test(result.stderr.toString())) {
    fields = accountingFields;
    result = await ask(fields);
  }
  if (result.exitCode !== 0) {
    if (isWithoutAccounting(result.stderr.toString())) return [];
    throw failed('The accounting of the scheduler could not be read.', result);
  }
  const rows = parseRows<string>(result.stdout.toString(), fields, delimiter);
  return rows.map(accountedFile).filter((file) => isWanted(file.jobId, wanted));
}

function accountedFile(row: Record<string, string>): JobFiles {
  return {
    jobId: row.JobID ?? '',
    rawId: row.JobIDRaw ?? '',
    name: row.JobName ?? '',
    username: row.User ?? '',
    workingDirectory: row.WorkDir ?? '',
    firstNode: firstHost(row.NodeList ?? ''),
    isBatch: true,
    input: textOrNull(row.StdIn ?? ''),
    output: textOrNull(row.StdOut ?? ''),
    error: textOrNull(row.StdErr ?? ''),
  };
}

/** The script as it was submitted, or null where it is not kept or not shown. */
async function batchScript(
  run: Run,
  host: SchedulerHost,
  { wanted, jobId }: { wanted: SlurmJobId; jobId: string },
  signal: AbortSignal,
): Promise<string | null> {
  // scontrol exits 0 with nothing on its standard output where it has no script, or not for us.
  const written = await printed(run(host, ['scontrol', 'write', 'batch_script', wanted.base, '-'], signal), signal);
  if (written !== '') return written;
  const kept = await printed(run(host, ['sacct', '--allusers', `--jobs=${jobId}`, '--batch-script'], signal), signal);
  return parseKeptScript(kept);
}

/** Empty where the command failed: a script that cannot be had is no reason to fail. */
async function printed(running: ReturnType<Run>, signal: AbortSignal): Promise<string> {
  try {
    const { exitCode, stdout } = await running;
    return exitCode === 0 ? stdout.toString() : '';
  } catch (error) {
    if (signal.aborted || !(error instanceof BrokerError)) throw error;
    return '';
  }
}

/**
 * Slurm 22.05.8: `Batch Script for 7`, a line of 80 dashes, the script and a newline of its own; `NONE` for none, and
 * nothing at all for other people's.
 */
export function parseKeptScript(output: string): string | null {
  const script = /^Batch Script for .*\n-{80}\n([\s\S]*)\n$/.exec(output)?.[1];
  return script === undefined || script.trim() === '' || script === 'NONE\n' || script === 'NONE' ? null : script;
}
