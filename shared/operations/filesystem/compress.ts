/** Packs a file or a directory into a tar archive. FirecREST v2: POST /filesystem/{system_name}/ops/compress. */
import { z } from 'zod';
import { laxBoolean, optionalLine, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { compression } from './compression.ts';
import { changesFiles } from './file-work.ts';

export const compress = defineOperation({
  name: 'filesystem.compress',
  summary: 'Pack files into an archive',
  input: z.object({
    path: remotePath.describe('A file or a directory; its base name is the name in the archive'),
    targetPath: remotePath.describe('The archive; an existing one is replaced when the new one is whole'),
    matchPattern: optionalLine(1_024).describe(
      'Only regular files below the directory whose path from there (`./sub/name`) matches the whole of this regular expression of find(1); they are named by that path',
    ),
    dereference: laxBoolean.default(false).describe('What links point to, in place of the links'),
    compression,
  }),
  result: z.object({ path: z.string().describe('The archive') }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/ops/compress',
    status: 204,
    answer: () => undefined,
  },
  ...changesFiles,
  recover: 'rerun',
  paths: [
    { field: 'path', isLinkUnless: ['dereference', 'matchPattern'] },
    { field: 'targetPath', isLinkUnless: [] },
  ],
  timeoutMs: 600_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'RemoteCommandFailed'],
});
