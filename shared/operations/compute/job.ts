/** A scheduler job, as FirecREST v2's `JobModel` has it, and the description a job is submitted with. */
import { z } from 'zod';
import { clusterText, hasNul, optionalLine, pathBytesMax } from '../fields.ts';
import { jobResourceFields } from './job-resources.ts';
import { psijFields, withoutPsijNames } from './psij-names.ts';

/** Longest inline script, bytes: sbatch's own default limit (max_script_size) is 4 MiB. */
export const scriptBytesMax = 4 * 1024 * 1024;

const seconds = z.int().nullable();

const jobStatus = z.object({
  state: z.string().describe("The scheduler's bare base word: PENDING, RUNNING, COMPLETED, CANCELLED …"),
  stateReason: z.string().nullable(),
  exitCode: z.int().nullable(),
  interruptSignal: z.int().nullable(),
});

const jobTime = z.object({
  elapsed: seconds.describe('Seconds'),
  start: seconds.describe('Seconds since the epoch; null before the start'),
  end: seconds.describe('Seconds since the epoch; null before the end'),
  suspended: seconds.describe('Seconds'),
  limit: seconds.describe('Seconds; null when there is no limit'),
});

export const job = z.object({
  jobId: z.string(),
  name: z.string(),
  status: jobStatus,
  tasks: z.array(z.object({ id: z.string(), name: z.string(), status: jobStatus, time: jobTime })).nullable(),
  time: jobTime.extend({ submit: seconds.describe('Seconds since the epoch; null where it is not known') }),
  account: z.string().nullable(),
  allocationNodes: z.int(),
  cpus: z.int().nullable().describe('CPUs that the job has, or asks for before its start; null where it is not known'),
  gpus: z.int().nullable().describe('GPUs that the job has, or asks for before its start; null where it is not known'),
  cluster: z.string(),
  group: z.string().nullable(),
  nodes: z.string(),
  partition: z.string(),
  killRequestUser: z.string().nullable(),
  user: z.string().nullable(),
  workingDirectory: z.string(),
  priority: z.int().nullable(),
});

export type Job = z.infer<typeof job>;

const environmentName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** `{"NAME": "value"}`, or a list of `NAME=value` that is read as the same. */
const environment = z.preprocess(
  (value) => {
    if (!Array.isArray(value)) return value;
    const pairs = value.map((item): [string, unknown] => {
      if (typeof item !== 'string' || !item.includes('=')) return [String(item), null];
      const at = item.indexOf('=');
      return [item.slice(0, at), item.slice(at + 1)];
    });
    return Object.fromEntries(pairs);
  },
  z.record(
    z.string().regex(environmentName, 'must be the name of an environment variable'),
    z.string('must be a text').refine((text) => !hasNul(text), 'must not contain a NUL character'),
  ),
);

const absolutePath = clusterText(pathBytesMax).refine((path) => path.startsWith('/'), 'must be an absolute path');

const describedJob = z
  .object({
    name: optionalLine(1024),
    account: optionalLine(1024),
    reservation: optionalLine(1024),
    partition: optionalLine(1024),
    workingDirectory: absolutePath.describe('Where the job starts'),
    standardInput: optionalLine(pathBytesMax),
    standardOutput: optionalLine(pathBytesMax),
    standardError: optionalLine(pathBytesMax),
    env: environment.default({ F7T_version: 'v2.0.0' }),
    constraints: optionalLine(4096),
    script: clusterText(scriptBytesMax).optional().describe('Batch script, inline'),
    scriptPath: z
      .preprocess((value) => (value === '' ? undefined : value), absolutePath.optional())
      .describe('Batch script on the cluster'),
    ...jobResourceFields,
    ...psijFields,
  })
  .superRefine((description, context) => {
    const hasScript = description.script !== undefined && description.script !== '';
    if (hasScript === (description.scriptPath !== undefined)) {
      context.addIssue({
        code: 'custom',
        path: ['script'],
        message: hasScript ? 'send either script or scriptPath, not both' : 'a script or a scriptPath is required',
      });
    }
    if (description.memoryPerNodeBytes !== null && description.memoryPerCpuBytes !== null) {
      const message = 'send either memoryPerNodeBytes or memoryPerCpuBytes, not both';
      context.addIssue({ code: 'custom', path: ['memoryPerCpuBytes'], message });
    }
  });

/** Resources count over the script's own directives. */
export const jobDescription = z.preprocess(withoutPsijNames, describedJob);

export type JobDescription = Omit<z.infer<typeof jobDescription>, keyof typeof psijFields>;
