/** Makes a directory. FirecREST v2: POST /filesystem/{system_name}/ops/mkdir. */
import { z } from 'zod';
import { laxBoolean, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { fileEntry } from './file-entry.ts';
import { changesFiles } from './file-work.ts';

export const mkdir = defineOperation({
  name: 'filesystem.mkdir',
  summary: 'Make a directory',
  input: z.object({
    path: remotePath,
    parent: laxBoolean.default(false).describe('Also the missing directories above; one that exists is no error'),
  }),
  result: z.object({ entry: fileEntry }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/ops/mkdir',
    status: 201,
    answer: ({ entry }) => ({ output: entry }),
  },
  ...changesFiles,
  recover: 'verify',
  paths: ['path'],
  timeoutMs: 30_000,
  errors: [
    'PathNotAbsolute',
    'PathNotAllowed',
    'FileExists',
    'FileNotFound',
    'PermissionDenied',
    'RemoteCommandFailed',
  ],
});
