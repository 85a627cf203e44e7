/** The beginning of a file. FirecREST v2: GET /filesystem/{system_name}/ops/head. */
import { z } from 'zod';
import { laxBoolean, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { amounts, fileContent, isOneUnit, oneUnit } from './file-content.ts';
import { readsFiles } from './file-work.ts';

export const head = defineOperation({
  name: 'filesystem.head',
  summary: 'Beginning of a file',
  input: z
    .object({
      path: remotePath,
      ...amounts,
      skipTrailing: laxBoolean
        .default(false)
        .describe('All but the last so many; a negative number means the same. Nothing without a number'),
    })
    .refine(isOneUnit, oneUnit),
  result: fileContent,
  firecrest: {
    method: 'GET',
    path: '/filesystem/{system_name}/ops/head',
    status: 200,
    answer: (output) => ({ output }),
  },
  ...readsFiles,
  paths: ['path'],
  admission: 'with-stats',
  timeoutMs: 30_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'OutputTooLarge'],
});
