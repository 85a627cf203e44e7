/** Removes a file or a directory. FirecREST v2: DELETE /filesystem/{system_name}/transfer/rm. */
import { z } from 'zod';
import { remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { account, fileJob, tookSeconds, worksOnFiles } from './transfer-job.ts';

export const remove = defineOperation({
  name: 'transfer.rm',
  summary: 'Remove a file, or a directory with all that is in it',
  input: z.object({
    path: remotePath.describe('What to remove'),
    account,
  }),
  result: z.object({ path: z.string(), seconds: tookSeconds }),
  firecrest: {
    method: 'DELETE',
    path: '/filesystem/{system_name}/transfer/rm',
    status: 200,
    answer: () => undefined,
    job: fileJob('DeleteFiles', 'Files were successfully deleted.'),
  },
  ...worksOnFiles,
  paths: [{ field: 'path', isLinkUnless: [] }],
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'RemoteCommandFailed'],
});
