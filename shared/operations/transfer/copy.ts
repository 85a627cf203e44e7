/**
 * Copies a file or a tree from one system to another, through a staging store and past every client: one task, which
 * runs on the system it copies from. An addition to FirecREST v2.
 */
import { z } from 'zod';
import { BrokerError } from '../../errors/broker-error.ts';
import { clusterText, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { throughStaging } from './through-staging.ts';
import { account, admitAccount, transferJobBody } from './transfer-job.ts';
import { merge, skipFailures, sync, treeFilters, treeResult, treeSuccessLine, withFewerNames } from './tree-fields.ts';

export const copyBetween = defineOperation({
  name: 'transfer.copy',
  summary: 'Copy a file or a directory to another system',
  input: z.object({
    path: remotePath.describe('What to copy'),
    targetSystem: clusterText(255).describe('The system to copy it to'),
    targetPath: remotePath.describe('Its name there. One that is new appears when it is whole'),
    merge,
    sync,
    ...treeFilters,
    skipFailures,
    account,
  }),
  result: z.object({ path: z.string(), targetSystem: z.string(), targetPath: z.string(), ...treeResult }),
  shorten: withFewerNames,
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/transfer/copy',
    status: 201,
    answer: () => undefined,
    isAddition: true,
    job: { name: 'CopyBetweenSystems', answersWhen: 'accepted', body: transferJobBody, successLine: treeSuccessLine },
  },
  ...throughStaging,
  paths: ['path'],
  peer: { systemField: 'targetSystem', paths: ['targetPath'] },
  admit({ account: given, targetSystem }, system) {
    if (targetSystem.toLowerCase() === system.name.toLowerCase()) {
      const message = 'must be another system; transfer.cp copies within one';
      throw new BrokerError('InvalidRequest', `Invalid request: \`targetSystem\` ${message}.`, {
        fields: [{ location: 'body', name: 'targetSystem', pointer: '/targetSystem', message }],
      });
    }
    admitAccount({ account: given }, system);
  },
});
