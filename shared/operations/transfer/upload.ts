/**
 * Takes a file from the client to the cluster: the client puts its parts into the staging store, and the broker has them
 * fetched when they are complete. FirecREST v2: POST /filesystem/{system_name}/transfer/upload.
 */
import { z } from 'zod';
import { BrokerError } from '../../errors/broker-error.ts';
import { clusterText, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { sha256, throughStaging } from './through-staging.ts';
import { account, admitMethod, fileSize, movedBytes, uploadBody } from './transfer-job.ts';
import { admitWormholeCode, keptWormholeCode } from './wormhole-code.ts';

export const stagedUpload = defineOperation({
  name: 'transfer.upload',
  summary:
    'Upload a file of any size: through the staging store, or straight where the system has a streamer or wormholes',
  input: z.object({
    path: remotePath.describe('The file to be; an existing one is replaced when the new one is whole'),
    account,
    transferDirectives: z.object({
      transferMethod: clusterText(32).describe('s3, streamer or wormhole, as the system has it'),
      fileSize: fileSize.nullish().describe('Bytes of the file; needed for s3'),
      wormholeCode: clusterText(1_024)
        .nullish()
        .describe('Needed for wormhole: the code that `wormhole send` shows; it is kept sealed'),
      sha256: sha256.nullish().describe('Addition: what the file must add up to, or it is not put in place'),
    }),
  }),
  result: z.object({
    path: z.string(),
    ...movedBytes,
    quotaBytesLeft: z
      .int()
      .nullable()
      .default(null)
      .describe('Left of your quota when the upload began; null where there is none, or no tool of the system tells'),
  }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/transfer/upload',
    status: 201,
    answer: () => undefined,
    job: {
      name: 'IngressFileTransfer',
      answersWhen: 'prepared',
      body: uploadBody,
      successLine: ({ bytes, sha256: digest }) =>
        `File was successfully uploaded (size: ${String(bytes)} bytes, sha256: ${String(digest)}).`,
    },
  },
  ...throughStaging,
  paths: [{ field: 'path', isLinkUnless: [] }],
  admit(input, system) {
    admitMethod(input, system);
    admitWormholeCode(input, system);
    if (input.transferDirectives.fileSize != null || input.transferDirectives.transferMethod !== 's3') return;
    const message = 'is required: the number of bytes of the file';
    throw new BrokerError('InvalidRequest', `Invalid request: \`transferDirectives.fileSize\` ${message}.`, {
      fields: [{ location: 'body', name: 'transferDirectives', pointer: '/transferDirectives/fileSize', message }],
    });
  },
  conceal(input, system) {
    const { transferDirectives: directives } = input;
    if (directives.wormholeCode == null) return input;
    const wormholeCode = keptWormholeCode(directives.wormholeCode, system);
    return { ...input, transferDirectives: { ...directives, wormholeCode } };
  },
});
