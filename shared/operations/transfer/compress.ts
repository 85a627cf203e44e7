/** Packs a file or a directory into a tar archive, however long it takes. FirecREST v2: POST /filesystem/{system_name}/transfer/compress. */
import { z } from 'zod';
import { compress } from '../filesystem/compress.ts';
import { defineOperation } from '../operation.ts';
import { account, fileJob, tookSeconds, worksOnFiles } from './transfer-job.ts';

export const compressFiles = defineOperation({
  name: 'transfer.compress',
  summary: 'Pack files into an archive, however long it takes',
  input: compress.input.extend({ account }),
  result: z.object({ path: z.string().describe('The archive'), seconds: tookSeconds }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/transfer/compress',
    status: 201,
    answer: () => undefined,
    job: fileJob('CompressFiles', 'Files were successfully compressed.'),
  },
  ...worksOnFiles,
  paths: compress.paths,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'RemoteCommandFailed'],
});
