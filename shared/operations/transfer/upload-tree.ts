/**
 * Takes a tree from the client to the cluster: the client puts a tar archive of it into the staging store as it packs
 * it, and it is unpacked on its way from there. An addition to FirecREST v2.
 */
import { z } from 'zod';
import { remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { sha256, throughStaging } from './through-staging.ts';
import { account, admitStaged, fileSize, transferJobBody } from './transfer-job.ts';
import { merge, skipFailures, sync, treeFilters, treeResult, treeSuccessLine, withFewerNames } from './tree-fields.ts';

export const uploadTree = defineOperation({
  name: 'transfer.upload-tree',
  summary: 'Upload a directory with all that is in it',
  input: z.object({
    path: remotePath.describe('The directory to be. One that is new appears when it is whole'),
    archiveBytesMax: fileSize.describe('Most bytes that the archive will have'),
    sha256: sha256.nullish().describe('What the archive must add up to, or nothing is put in place'),
    merge,
    sync,
    ...treeFilters,
    skipFailures,
    account,
  }),
  result: z.object({ path: z.string(), ...treeResult }),
  shorten: withFewerNames,
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/transfer/upload-tree',
    status: 201,
    answer: () => undefined,
    isAddition: true,
    job: { name: 'IngressTreeTransfer', answersWhen: 'accepted', body: transferJobBody, successLine: treeSuccessLine },
  },
  ...throughStaging,
  paths: ['path'],
  admit: admitStaged,
});
