/** What jobs took of what they had asked for, by sacct(1): it samples memory, and has the last figures some seconds after the end. */
import type { JobUsage, SchedulerHost, UsageRequest } from '../scheduler.ts';
import { newDelimiter, parseRows } from './delimited.ts';
import { isWanted } from './job-rows.ts';
import { baseState, isActive } from './job-states.ts';
import { buildSacctSteps, isWithoutAccounting } from './sacct.ts';
import { failed, type Run } from './slurm-command.ts';
import { parseJobId } from './slurm-job-id.ts';

const fields = ['JobID', 'State', 'End', 'MaxRSS', 'AllocTRES', 'ReqTRES'] as const;

/** See `SchedulerAdapter.usage`. */
export async function jobUsage(
  run: Run,
  host: SchedulerHost,
  { jobIds, signal }: UsageRequest,
): Promise<Map<string, JobUsage> | null> {
  const wanted = jobIds.flatMap((jobId) => {
    const id = parseJobId(jobId);
    return id ? [{ jobId, id }] : [];
  });
  if (wanted.length === 0) return new Map();
  const delimiter = newDelimiter();
  const bases = [...new Set(wanted.map(({ id }) => id.base))];
  const result = await run(host, buildSacctSteps(bases.join(','), fields, delimiter), signal);
  if (result.exitCode !== 0) {
    if (isWithoutAccounting(result.stderr.toString())) return null;
    throw failed('The accounting of the scheduler could not be read.', result);
  }
  const parts = groupParts(parseRows(result.stdout.toString(), fields, delimiter));
  return new Map(
    wanted.flatMap(({ jobId, id }) => {
      const own = (parts.get(id.base) ?? []).filter((part) => isWanted(part.jobId, id));
      return own.length === 0 ? [] : [[jobId, sumOfParts(own)] as const];
    }),
  );
}

interface Part extends JobUsage {
  jobId: string;
}

type UsageRow = Record<(typeof fields)[number], string>;

/**
 * By the job's number. Slurm 22.05.8: `7¦OUT_OF_MEMORY¦1750053827¦¦billing=1,cpu=1,mem=100M,node=1¦…`,
 * `7.batch¦OUT_OF_MEMORY¦1750053827¦102400K¦cpu=1,mem=100M,node=1¦¦`.
 */
function groupParts(rows: readonly UsageRow[]): Map<string, Part[]> {
  const parts = new Map<string, Part>();
  for (const row of rows) {
    const [jobId = '', step] = row.JobID.split('.', 2);
    const known = parts.get(jobId);
    if (step === undefined) {
      // A young record may know the end before it knows what was asked for.
      const isFinal = !isActive(baseState(row.State)) && /^\d+$/.test(row.End) && row.ReqTRES !== '';
      const memoryRequestedBytes = memoryOf(row.AllocTRES) ?? memoryOf(row.ReqTRES);
      parts.set(jobId, { jobId, isFinal, memoryUsedBytes: null, memoryRequestedBytes });
    } else if (known !== undefined) {
      known.memoryUsedBytes = largest(known.memoryUsedBytes, sizeBytes(row.MaxRSS));
    }
  }
  const grouped = new Map<string, Part[]>();
  for (const part of parts.values()) {
    const base = parseJobId(part.jobId)?.base ?? '';
    grouped.set(base, [...(grouped.get(base) ?? []), part]);
  }
  return grouped;
}

/** Of all parts of a job together. */
export function sumOfParts(parts: readonly JobUsage[]): JobUsage {
  return {
    isFinal: parts.every(({ isFinal }) => isFinal),
    memoryUsedBytes: parts.reduce((most: number | null, part) => largest(most, part.memoryUsedBytes), null),
    memoryRequestedBytes: parts.reduce((most: number | null, part) => largest(most, part.memoryRequestedBytes), null),
  };
}

function largest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

const unitBytes: Readonly<Record<string, number>> = {
  '': 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
  P: 2 ** 50,
};

/** `102400K`, `1.50G`, `4096`; null for anything else. */
export function sizeBytes(text: string): number | null {
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)([KMGTP]?)$/.exec(text.trim()) ?? [];
  return count === undefined ? null : Math.round(Number(count) * (unitBytes[unit] ?? 1));
}

function memoryOf(tres: string): number | null {
  return sizeBytes(/(?:^|,)mem=([^,]+)/.exec(tres)?.[1] ?? '');
}
