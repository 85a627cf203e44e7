/**
 * Takes a tree from the cluster to the client: it is packed as a tar archive on its way into the staging store, where
 * the client gets it. An addition to FirecREST v2.
 */
import { z } from 'zod';
import { remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { account, admitMethod, transferJobBody } from './transfer-job.ts';
import { skipFailures, treeFilters, treeResult, treeSuccessLine } from './tree-fields.ts';

export const downloadTree = defineOperation({
  name: 'transfer.download-tree',
  summary: 'Download a directory with all that is in it',
  input: z.object({ path: remotePath.describe('The directory'), ...treeFilters, skipFailures, account }),
  result: z.object({ path: z.string(), ...treeResult }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/transfer/download-tree',
    status: 201,
    answer: () => undefined,
    isAddition: true,
    job: { name: 'OutgressTreeTransfer', answersWhen: 'accepted', body: transferJobBody, successLine: treeSuccessLine },
  },
  relation: 'transfer',
  requires: ['ssh', 'filesystem', 'storage'],
  lane: 'move',
  scope: 'system',
  mutates: true,
  recover: 'verify',
  paths: ['path'],
  admit: ({ account: given }, system) =>
    admitMethod({ account: given, transferDirectives: { transferMethod: 's3' } }, system),
  timeoutMs: 120_000,
  errors: [
    ...(['PathNotAbsolute', 'PathNotAllowed', 'AccountRequired', 'FileNotFound', 'PermissionDenied'] as const),
    ...(['TransferFailed', 'StagingFailed', 'StagingUnavailable', 'RemoteCommandFailed'] as const),
  ],
});
