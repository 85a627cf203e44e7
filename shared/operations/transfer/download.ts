/**
 * Takes a file from the cluster to the client: it is put into the staging store, where the client gets it.
 * FirecREST v2: POST /filesystem/{system_name}/transfer/download.
 */
import { z } from 'zod';
import { clusterText, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { throughStaging } from './through-staging.ts';
import { account, admitMethod, downloadBody, fileSize, movedBytes } from './transfer-job.ts';

export const stagedDownload = defineOperation({
  name: 'transfer.download',
  summary:
    'Download a file of any size: through the staging store, or straight where the system has a streamer or wormholes',
  input: z.object({
    path: remotePath.describe('The file'),
    account,
    transferDirectives: z.object({
      transferMethod: clusterText(32).describe('s3, streamer or wormhole, as the system has it'),
      fileSize: fileSize.nullish().describe('Not looked at: the file has the size it has'),
    }),
  }),
  result: z.object({ path: z.string(), ...movedBytes }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/transfer/download',
    status: 201,
    answer: () => undefined,
    job: {
      name: 'OutgressFileTransfer',
      answersWhen: 'prepared',
      body: downloadBody,
      successLine: ({ bytes, sha256 }) =>
        `Multipart file upload successfully completed (size: ${String(bytes)} bytes, sha256: ${String(sha256)}).`,
    },
  },
  ...throughStaging,
  paths: ['path'],
  admit: admitMethod,
});
