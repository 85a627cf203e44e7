/** Copies a file or a directory. FirecREST v2: POST /filesystem/{system_name}/transfer/cp. */
import { z } from 'zod';
import { laxBoolean, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { account, fileJob, tookSeconds, worksOnFiles } from './transfer-job.ts';

export const copy = defineOperation({
  name: 'transfer.cp',
  summary: 'Copy a file or a directory with all that is in it',
  input: z.object({
    path: remotePath.describe('What to copy'),
    targetPath: remotePath.describe('Its new name, or the directory to copy it into'),
    account,
    dereference: laxBoolean.default(false).describe('What links point to, in place of the links'),
  }),
  result: z.object({ path: z.string(), targetPath: z.string(), seconds: tookSeconds }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/transfer/cp',
    status: 201,
    answer: () => undefined,
    job: fileJob('CopyFiles', 'Files were successfully copied.'),
  },
  ...worksOnFiles,
  paths: [{ field: 'path', isLinkUnless: ['dereference'] }, 'targetPath'],
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'RemoteCommandFailed'],
});
