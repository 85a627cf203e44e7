/**
 * Takes a tree from the cluster to the client: it is packed as a tar archive on its way into the staging store, where
 * the client gets it. An addition to FirecREST v2.
 */
import { z } from 'zod';
import { remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { throughStaging } from './through-staging.ts';
import { account, admitStaged, transferJobBody } from './transfer-job.ts';
import { skipFailures, treeFilters, treeResult, treeSuccessLine, withFewerNames } from './tree-fields.ts';

export const downloadTree = defineOperation({
  name: 'transfer.download-tree',
  summary: 'Download a directory with all that is in it',
  input: z.object({ path: remotePath.describe('The directory'), ...treeFilters, skipFailures, account }),
  result: z.object({ path: z.string(), ...treeResult }),
  shorten: withFewerNames,
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/transfer/download-tree',
    status: 201,
    answer: () => undefined,
    isAddition: true,
    job: { name: 'OutgressTreeTransfer', answersWhen: 'accepted', body: transferJobBody, successLine: treeSuccessLine },
  },
  ...throughStaging,
  paths: ['path'],
  admit: admitStaged,
});
