/**
 * The file names of a job with their replacement symbols filled in (sbatch(1), "filename pattern"): what can be known
 * from outside of the job, which for a batch script is all but `%q` and its like.
 */
import { parseJobId } from './slurm-job-id.ts';

export interface NamedJob {
  /** `123`, `123_4`, `123_[1-5]`, `123+1`. */
  jobId: string;
  /** Slurm's own number of an element or component. */
  rawId: string;
  name: string;
  username: string;
  workingDirectory: string;
  /** Where the batch script runs; null while that is not known. Slurm fills in its host name, which is the node's name on real clusters. */
  firstNode: string | null;
}

/** `%5j` is padded with zeros to at most so many digits. */
const widthMax = 10;

/**
 * The path with every symbol replaced that is known; others stay as they are. Null for a file that is not named.
 * Slurm 22.05.8 on samples `o-%x-%j-%A-%a-%u-%N-%n-%t-%s-%%-%5j-%q`: `o-arr-6-2-2-gcalice-n1-0-0-batch-%-00006-%q`.
 */
export function expandFileName(pattern: string | null, job: NamedJob): string | null {
  if (pattern === null || pattern === '') return null;
  const directory = job.workingDirectory.endsWith('/') ? job.workingDirectory : `${job.workingDirectory}/`;
  if (pattern === `${directory}slurm-${job.rawId}.out`) return `${directory}${defaultName(job)}`;
  // The directory that Slurm put in front is no pattern.
  if (pattern.startsWith(directory)) return directory + expand(pattern.slice(directory.length), job);
  return pattern.startsWith('/') ? expand(pattern, job) : directory + expand(pattern, job);
}

/** squeue shows the default for an array as `slurm-%j.out`, which is not where the output is. */
function defaultName(job: NamedJob): string {
  const { arrayId, index } = arrayPart(job);
  return arrayId === null ? `slurm-${job.rawId}.out` : `slurm-${arrayId}_${index ?? '%a'}.out`;
}

function expand(pattern: string, job: NamedJob): string {
  // A backslash anywhere means that nothing is to be replaced.
  if (pattern.includes('\\')) return pattern.replaceAll('\\', '');
  const { arrayId, index } = arrayPart(job);
  const numbers: Record<string, string | null> = {
    A: arrayId ?? job.rawId,
    a: index,
    j: job.rawId,
    J: job.rawId,
    n: '0',
    t: '0',
  };
  const words: Record<string, string | null> = { N: job.firstNode, s: 'batch', u: job.username, x: job.name };
  return pattern.replace(/%(?:%|(\d{0,2})([A-Za-z]))/g, (symbol, width: string | undefined, letter: string) => {
    if (symbol === '%%') return '%';
    const number = numbers[letter] ?? null;
    if (number !== null) return number.padStart(Math.min(Number(width), widthMax), '0');
    return words[letter] ?? symbol;
  });
}

/** Id and index of an array's element; the index is null where several still wait as one. */
function arrayPart({ jobId }: NamedJob): { arrayId: string | null; index: string | null } {
  const id = parseJobId(jobId);
  if (!id || id.indices === null) return { arrayId: null, index: null };
  return { arrayId: id.base, index: /_(\d+)$/.exec(jobId)?.[1] ?? null };
}

/** `n[1-2]` → `n1`, `a,b` → `a`; null for an empty list. */
export function firstHost(nodeList: string): string | null {
  const [first = ''] = nodeList.replace(/\[([^\],-]+)[^\]]*\]/g, '$1').split(',');
  return /^[\w.-]+$/.test(first) ? first : null;
}
