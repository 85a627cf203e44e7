/** Unpacks a tar archive into a directory. FirecREST v2: POST /filesystem/{system_name}/ops/extract. */
import { z } from 'zod';
import { remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { compression } from './compression.ts';
import { changesFiles } from './file-work.ts';

export const extract = defineOperation({
  name: 'filesystem.extract',
  summary: 'Unpack an archive',
  input: z.object({
    path: remotePath.describe('The archive'),
    targetPath: remotePath.describe('An existing directory; files in it that the archive holds too are replaced'),
    compression,
  }),
  result: z.object({ path: z.string().describe('The directory') }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/ops/extract',
    status: 204,
    answer: () => undefined,
  },
  ...changesFiles,
  recover: 'rerun',
  paths: ['path', 'targetPath'],
  timeoutMs: 600_000,
  errors: [
    'PathNotAbsolute',
    'PathNotAllowed',
    'FileExists',
    'FileNotFound',
    'PermissionDenied',
    'RemoteCommandFailed',
    'ArchiveTooLarge',
  ],
});
