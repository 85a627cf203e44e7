/** Removes a file, or a directory with all that is in it. FirecREST v2: DELETE /filesystem/{system_name}/ops/rm. */
import { z } from 'zod';
import { remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { changesFiles } from './file-work.ts';

export const rm = defineOperation({
  name: 'filesystem.rm',
  summary: 'Remove a file or a directory tree',
  input: z.object({ path: remotePath }),
  result: z.object({ path: z.string() }),
  firecrest: {
    method: 'DELETE',
    path: '/filesystem/{system_name}/ops/rm',
    status: 204,
    answer: () => undefined,
  },
  ...changesFiles,
  recover: 'rerun',
  paths: [{ field: 'path', isLinkUnless: [] }],
  timeoutMs: 600_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'RemoteCommandFailed'],
});
