/** Makes a symbolic link. FirecREST v2: POST /filesystem/{system_name}/ops/symlink. */
import { z } from 'zod';
import { remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { fileEntry } from './file-entry.ts';
import { changesFiles } from './file-work.ts';

export const symlink = defineOperation({
  name: 'filesystem.symlink',
  summary: 'Make a symbolic link',
  input: z.object({
    path: remotePath.describe('What the link points to; need not exist'),
    linkPath: remotePath.describe('The link itself; must not exist'),
  }),
  result: z.object({ entry: fileEntry }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/ops/symlink',
    status: 201,
    answer: ({ entry }) => ({ output: entry }),
  },
  ...changesFiles,
  recover: 'verify',
  paths: ['path', { field: 'linkPath', isLinkUnless: [] }],
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
