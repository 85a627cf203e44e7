/** Unpacks a tar archive, however long it takes. FirecREST v2: POST /filesystem/{system_name}/transfer/extract. */
import { z } from 'zod';
import { extract } from '../filesystem/extract.ts';
import { defineOperation } from '../operation.ts';
import { account, fileJob, tookSeconds, worksOnFiles } from './transfer-job.ts';

export const extractFiles = defineOperation({
  name: 'transfer.extract',
  summary: 'Unpack an archive, however long it takes',
  input: extract.input.extend({ account }),
  result: z.object({ path: z.string().describe('Where it was unpacked'), seconds: tookSeconds }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/transfer/extract',
    status: 201,
    answer: () => undefined,
    job: fileJob('CompressFiles', 'Files were successfully extracted.'),
  },
  ...worksOnFiles,
  paths: extract.paths,
  errors: [
    'PathNotAbsolute',
    'PathNotAllowed',
    'FileNotFound',
    'PermissionDenied',
    'RemoteCommandFailed',
    'ArchiveTooLarge',
  ],
});
