/** A window of a file as text. FirecREST v2: GET /filesystem/{system_name}/ops/view. */
import { z } from 'zod';
import { laxInteger, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { readsFiles } from './file-work.ts';

export const view = defineOperation({
  name: 'filesystem.view',
  summary: 'Content of a file as text',
  input: z.object({
    path: remotePath,
    size: z
      .preprocess(
        (value) => (value === '' ? undefined : (value ?? undefined)),
        laxInteger.pipe(z.int().min(1, 'must be greater than 0')).optional(),
      )
      .describe(
        'Bytes; 5 MiB, or what the system allows, if not given. A character begun in the window is answered whole',
      ),
    offset: z
      .preprocess(
        (value) => (value === '' || value === null ? 0 : value),
        laxInteger.pipe(z.int().min(0, 'must be 0 or greater')),
      )
      .default(0)
      .describe('Bytes before the window'),
  }),
  result: z.object({ text: z.string().describe('Bytes that are no valid UTF-8 are U+FFFD') }),
  firecrest: {
    method: 'GET',
    path: '/filesystem/{system_name}/ops/view',
    status: 200,
    answer: ({ text }) => ({ output: text }),
  },
  ...readsFiles,
  paths: ['path'],
  admission: 'with-stats',
  timeoutMs: 30_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'OutputTooLarge'],
});
