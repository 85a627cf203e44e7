/** Packs a file or a directory into a tar archive, however long it takes. FirecREST v2: POST /filesystem/{system_name}/transfer/compress. */
import { z } from 'zod';
import { compress } from '../filesystem/compress.ts';
import { defineOperation } from '../operation.ts';
import { account, admitAccount, tookSeconds, transferJobBody } from './transfer-job.ts';

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
    job: {
      name: 'CompressFiles',
      answersWhen: 'accepted',
      body: transferJobBody,
      successLine: () => 'Files were successfully compressed.',
    },
  },
  relation: 'write_files',
  requires: ['ssh', 'filesystem'],
  lane: 'move',
  scope: 'system',
  mutates: true,
  recover: 'verify',
  paths: compress.paths,
  admit: admitAccount,
  timeoutMs: 120_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'RemoteCommandFailed'],
});
