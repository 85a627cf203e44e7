/** What became of a job and why, in figures and in one plain sentence. Null is what the scheduler does not know or does not tell. */
import { z } from 'zod';

const count = z.int().nullable();

/** Lines and bytes of error output in one diagnosis. */
export const errorLinesMax = 20;
export const errorBytesMax = 4_096;

export const jobDiagnosis = z.object({
  jobId: z.string(),
  state: z
    .string()
    .describe("The scheduler's bare base word; of several parts that of the first that did not end well"),
  stateReason: z.string().nullable(),
  exitCode: count,
  signal: count.describe('The signal that ended the job'),
  canceledBy: z.string().nullable().describe('Who canceled it: a name, or the number of an account'),
  memory: z.object({
    usedBytes: count.describe('The largest task of the job, resident, as the accounting sampled it'),
    requestedBytes: count.describe('Of the whole job'),
    note: z.string().nullable().default(null).describe('Why it is not known what was used'),
  }),
  time: z.object({ usedSeconds: count, limitSeconds: count }),
  errorOutput: z.object({
    path: z.string().nullable(),
    lines: z.array(z.string()).max(errorLinesMax).describe(`The last ones, at most ${errorLinesMax}`),
    isCut: z.boolean().describe('Whether there is more before them'),
    note: z.string().nullable().describe('Why there are none'),
  }),
  isFinal: z.boolean().describe('Whether the job has ended and the accounting has its last figures'),
  advice: z.string().describe('One sentence'),
});

export type JobDiagnosis = z.infer<typeof jobDiagnosis>;
