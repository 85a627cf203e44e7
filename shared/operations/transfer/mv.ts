/** Moves a file or a directory. FirecREST v2: POST /filesystem/{system_name}/transfer/mv. */
import { z } from 'zod';
import { remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { account, fileJob, tookSeconds, worksOnFiles } from './transfer-job.ts';

export const move = defineOperation({
  name: 'transfer.mv',
  summary: 'Move or rename a file or a directory',
  input: z.object({
    path: remotePath.describe('What to move'),
    targetPath: remotePath.describe('Its new name, or the directory to move it into'),
    account,
  }),
  result: z.object({ path: z.string(), targetPath: z.string(), seconds: tookSeconds }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/transfer/mv',
    status: 201,
    answer: () => undefined,
    job: fileJob('MoveFiles', 'Files were successfully moved.'),
  },
  ...worksOnFiles,
  paths: [{ field: 'path', isLinkUnless: [] }, 'targetPath'],
  errors: [
    'PathNotAbsolute',
    'PathNotAllowed',
    'FileNotFound',
    'PermissionDenied',
    'RemoteCommandFailed',
    'OutcomeUnknown',
  ],
});
