/**
 * What a job asks of the scheduler besides its files: size, limits, when and after what it may start. Fields of our own,
 * which FirecREST v2 lacks; null is "as the script's directives, the queue or the site have it".
 */
import { z } from 'zod';
import { laxBoolean, optionalLine } from '../fields.ts';

/** Bounds only keep nonsense out; what a job may have is the scheduler's to say. */
const countMax = 10_000_000;
const bytesMax = 2 ** 50;
const secondsMax = 10 * 365 * 86_400;

/** A whole number, which may come as text; null and an empty text are unset. */
export function optionalInteger(min: number, max: number) {
  return z
    .preprocess((value) => {
      if (value === '') return null;
      return typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
    }, z
      .int('must be a whole number')
      .min(min, `must be at least ${min}`)
      .max(max, `must be at most ${max}`)
      .nullable())
    .default(null);
}

const optionalCount = optionalInteger(1, countMax);

/** A line of a narrow form; `words` follow the field's name. */
function optionalForm(form: RegExp, words: string) {
  return optionalLine(4096).refine((text) => text === null || form.test(text), words);
}

const optionalName = optionalForm(/^[\w.@+-]+$/, 'must be one word');

const mailEvents = ['begin', 'end', 'fail'] as const;

const arrayForm = /^\d+(-\d+(:\d+)?)?(,\d+(-\d+(:\d+)?)?)*(%[1-9]\d*)?$/;

/** The kinds that Slurm and PBS share, in the form that both read. */
const dependencyForm =
  /^(?:after|afterany|afterok|afternotok)(?::[\w.[\]-]+)+(?:,(?:after|afterany|afterok|afternotok)(?::[\w.[\]-]+)+)*$/;

export const timeLimitSeconds = optionalInteger(1, secondsMax).describe('Longest run, seconds');
export const beginAt = optionalInteger(0, 2 ** 40).describe('Not to start before this time, seconds since the epoch');
export const qos = optionalName.describe('Quality of service');
/** Wide enough for every scheduler's own scale. */
export const priority = optionalInteger(-(2 ** 31), 2 ** 32 - 1).describe(
  "On the scheduler's own scale; most sites let users lower it only",
);

export const jobResourceFields = {
  nodes: optionalCount.describe('Nodes, exactly'),
  tasks: optionalCount.describe('Processes over all nodes'),
  tasksPerNode: optionalCount.describe('Processes on each node'),
  cpusPerTask: optionalCount.describe('CPUs of each process'),
  memoryPerNodeBytes: optionalInteger(1, bytesMax).describe('Memory on each node, bytes'),
  memoryPerCpuBytes: optionalInteger(1, bytesMax).describe('Memory for each CPU, bytes'),
  gpus: optionalCount.describe('GPUs over all nodes'),
  gpusPerNode: optionalCount.describe('GPUs on each node'),
  gpusPerTask: optionalCount.describe('GPUs of each process'),
  timeLimitSeconds,
  exclusive: laxBoolean.nullable().default(null).describe('Whether the nodes are for this job alone'),
  array: optionalForm(arrayForm, 'must be a list of indices such as 1-10 or 1,3,5-9:2%4').describe(
    'Indices of a job array; %N runs at most N at once',
  ),
  dependency: optionalForm(dependencyForm, 'must be such as afterok:12:13,afterany:14').describe(
    'Jobs this one waits for: after, afterany, afterok and afternotok, all of which must be met',
  ),
  beginAt,
  qos,
  licenses: optionalForm(/^[\w.@-]+(:\d+)?(,[\w.@-]+(:\d+)?)*$/, 'must be such as matlab:2,ansys').describe(
    'Licenses, name:count',
  ),
  comment: optionalLine(1024).describe('Free text that is kept with the job'),
  mailType: z
    .preprocess(
      (value) => (typeof value === 'string' ? value.split(',').filter((word) => word !== '') : value),
      z
        .array(
          z.preprocess(
            (word) => (typeof word === 'string' ? word.trim().toLowerCase() : word),
            z.enum(mailEvents, `must be of ${mailEvents.join(', ')}`),
          ),
        )
        .max(mailEvents.length)
        .nullable(),
    )
    .default(null)
    .describe('When to send a mail'),
  mailUser: optionalForm(/^[^\s,;-][^\s,;]*$/, 'must be one mail address').describe('Who gets the mail'),
};

export type JobResources = { [Field in keyof typeof jobResourceFields]: z.infer<(typeof jobResourceFields)[Field]> };
export type JobResource = keyof JobResources;

export const jobResourceNames = Object.keys(jobResourceFields) as JobResource[];

/** Nothing asked for. */
export const noResources: JobResources = z.object(jobResourceFields).parse({});
