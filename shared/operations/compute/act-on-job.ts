/** What the operations have in common that do something to one job by its id, and may do it twice. */
import { z } from 'zod';
import { jobId } from '../fields.ts';

export const actOnJob = {
  input: z.object({ jobId }),
  result: z.object({ jobId: z.string() }),
  requires: ['ssh', 'scheduler'],
  lane: 'batch',
  scope: 'system',
  mutates: true,
  recover: 'rerun',
  paths: [],
  timeoutMs: 30_000,
} as const;

/** Their answer has no body. */
export const answersNothing = { status: 204, params: { job_id: 'jobId' }, answer: () => undefined } as const;
