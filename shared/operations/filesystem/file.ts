/** What a file holds, as file(1) says it. FirecREST v2: GET /filesystem/{system_name}/ops/file. */
import { z } from 'zod';
import { remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { readsFiles } from './file-work.ts';

export const file = defineOperation({
  name: 'filesystem.file',
  summary: 'Type of a file',
  input: z.object({ path: remotePath }),
  result: z.object({ description: z.string().describe('As file(1) describes it, e.g. `ASCII text` or `directory`') }),
  firecrest: {
    method: 'GET',
    path: '/filesystem/{system_name}/ops/file',
    status: 200,
    answer: ({ description }) => ({ output: description }),
  },
  ...readsFiles,
  paths: [{ field: 'path', isLinkUnless: [] }],
  admission: 'with-files',
  timeoutMs: 30_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'RemoteCommandFailed'],
});
