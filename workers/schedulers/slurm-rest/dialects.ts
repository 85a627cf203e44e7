/** What differs between the versions of slurmrestd's API, as data; nothing else knows of versions. */
import {
  type SlurmrestMinor,
  slurmrestMinor,
  slurmrestMinors,
} from '../../../shared/platform/config/slurmrest-versions.ts';
import type { JobChanges } from '../scheduler.ts';
import { type FieldTable, textFields, typedFields } from './job-fields.ts';

export interface Dialect {
  /** `0.0.38`. */
  version: string;
  minor: number;
  /** How sbatch's options are told. */
  fields: FieldTable;
  /** `map`: `{"NAME": "value"}`; `list`: `["NAME=value"]`. */
  environment: 'map' | 'list';
  /** Whether the script stands beside the job or in it. */
  script: 'beside' | 'inside';
  /** Whether the list of ended jobs can be asked for those of one user; else everybody's comes. */
  hasUserFilter: boolean;
  /** How the start of a list of ended jobs is told. */
  startTime: 'relative' | 'epoch';
  /** What of a job that waits cannot be changed: slurmrestd 22.05.8 says that it did and does not. */
  unchangeable: readonly (keyof JobChanges)[];
  /** `flagged`: hidden partitions are always there and marked; `asked`: they are there only with `flags=ALL`. */
  hiddenPartitions: 'flagged' | 'asked';
}

const textual = {
  fields: textFields,
  environment: 'map',
  script: 'beside',
  hasUserFilter: false,
  startTime: 'relative',
  unchangeable: ['name'],
  hiddenPartitions: 'flagged',
} as const;

const typed = {
  fields: typedFields,
  environment: 'list',
  script: 'beside',
  hasUserFilter: true,
  startTime: 'epoch',
  unchangeable: [],
  hiddenPartitions: 'asked',
} as const;

/**
 * Tried on a real slurmrestd: 37 and 38 (Slurm 22.05.8); the others are written from their published documents. 36 is
 * left out: it does not tell whose a job is.
 */
const differences: { [minor in SlurmrestMinor]: Omit<Dialect, 'version' | 'minor'> } = {
  43: { ...typed, script: 'inside' },
  42: { ...typed, script: 'inside' },
  41: { ...typed, script: 'inside' },
  40: typed,
  39: { ...typed, startTime: 'relative', fields: { ...typedFields, begin: epochBegin } },
  38: textual,
  37: textual,
};

/** Newest first. */
export const dialects: readonly Dialect[] = slurmrestMinors.map((minor) => ({
  version: `0.0.${minor}`,
  minor,
  ...differences[minor],
}));

/** The one field whose type came a version later: seconds without a wrapper. */
function epochBegin(value: string) {
  const seconds = /^uts(\d{1,15})$/.exec(value)?.[1];
  return seconds === undefined ? undefined : { begin_time: Number(seconds) };
}

/** The dialect of `0.0.38` or `v0.0.38`; undefined for a version that is not known here. */
export function findDialect(version: string): Dialect | undefined {
  const minor = slurmrestMinor(version);
  return dialects.find((each) => each.minor === minor);
}
