/** The end of a file. FirecREST v2: GET /filesystem/{system_name}/ops/tail. */
import { z } from 'zod';
import { laxBoolean, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { amounts, fileContent, isOneUnit, oneUnit } from './file-content.ts';
import { readsFiles } from './file-work.ts';

export const tail = defineOperation({
  name: 'filesystem.tail',
  summary: 'End of a file',
  input: z
    .object({
      path: remotePath,
      ...amounts,
      skipHeading: laxBoolean
        .default(false)
        .describe('From that byte or line on, counted from 1. Nothing without a number'),
    })
    .refine(isOneUnit, oneUnit)
    .refine(({ bytes, lines, skipHeading }) => !skipHeading || (bytes ?? 0) + (lines ?? 0) >= 0, {
      path: ['skipHeading'],
      message: 'needs a number that is not negative',
    }),
  result: fileContent,
  firecrest: {
    method: 'GET',
    path: '/filesystem/{system_name}/ops/tail',
    status: 200,
    answer: (output) => ({ output }),
  },
  ...readsFiles,
  paths: ['path'],
  admission: 'with-stats',
  timeoutMs: 30_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'OutputTooLarge'],
});
