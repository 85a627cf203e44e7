/** Runs a command inside a running job. FirecREST v2: PUT /compute/{system_name}/jobs/{job_id}/attach. */
import { z } from 'zod';
import { clusterText, jobId } from '../fields.ts';
import { defineOperation } from '../operation.ts';

/** Longest command, bytes. */
const commandBytesMax = 16 * 1024;

export const attachedRun = z.object({
  exitCode: z.int().nullable().describe('Of the command; null where a signal ended it'),
  stdout: z.string(),
  stderr: z.string(),
  isTruncated: z.boolean().describe('Whether the command wrote more than is kept'),
});

export type AttachedRun = z.infer<typeof attachedRun>;

/** The beginning of a text, without half of a character at its end. */
function halfOf(text: string): string {
  return text.slice(0, text.length >> 1).replace(/[\ud800-\udbff]$/, '');
}

export const attach = defineOperation({
  name: 'compute.attach',
  summary: 'Run a command inside a running batch job',
  input: z.object({
    jobId,
    command: clusterText(commandBytesMax)
      .refine((text) => text.trim() !== '', 'must not be empty')
      .describe('For the shell sh on the first node of the job, or on each of its nodes where the scheduler does so'),
  }),
  result: attachedRun,
  shorten: (run) => ({ ...run, stdout: halfOf(run.stdout), stderr: halfOf(run.stderr), isTruncated: true }),
  firecrest: {
    method: 'PUT',
    path: '/compute/{system_name}/jobs/{job_id}/attach',
    status: 204,
    params: { job_id: 'jobId' },
    answer: () => undefined,
  },
  relation: 'submit',
  requires: ['ssh', 'scheduler'],
  lane: 'batch',
  scope: 'system',
  mutates: true,
  recover: 'unknown',
  paths: [],
  timeoutMs: 60_000,
  errors: ['JobNotFound', 'JobNotRunning', 'PermissionDenied', 'SchedulerFailed', 'OutcomeUnknown'],
});
