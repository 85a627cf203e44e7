/** Moves a file or a directory. FirecREST v2: POST /filesystem/{system_name}/transfer/mv. */
import { z } from 'zod';
import { remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { account, admitAccount, tookSeconds, transferJobBody } from './transfer-job.ts';

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
    job: {
      name: 'MoveFiles',
      answersWhen: 'accepted',
      body: transferJobBody,
      successLine: () => 'Files were successfully moved.',
    },
  },
  relation: 'write_files',
  requires: ['ssh', 'filesystem'],
  lane: 'move',
  scope: 'system',
  mutates: true,
  recover: 'verify',
  paths: [{ field: 'path', isLinkUnless: [] }, 'targetPath'],
  admit: admitAccount,
  timeoutMs: 120_000,
  errors: [
    'PathNotAbsolute',
    'PathNotAllowed',
    'FileNotFound',
    'PermissionDenied',
    'RemoteCommandFailed',
    'OutcomeUnknown',
  ],
});
