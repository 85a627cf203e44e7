/** Changes owner and group of a file. FirecREST v2: PUT /filesystem/{system_name}/ops/chown. */
import { z } from 'zod';
import { clusterText, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { fileEntry } from './file-entry.ts';
import { changesFiles } from './file-work.ts';

/** A colon would make two names of one. Empty, null and nothing: stays as it is. */
const accountName = z
  .preprocess(
    (value) => value ?? '',
    clusterText(256).refine((name) => !/[:\n\r]/.test(name), 'must be a name or a number, without a colon'),
  )
  .default('');

export const chown = defineOperation({
  name: 'filesystem.chown',
  summary: 'Change owner and group of a file',
  input: z.object({
    path: remotePath,
    owner: accountName.describe('Name or number; empty: stays as it is'),
    group: accountName.describe('Name or number; empty: stays as it is'),
  }),
  result: z.object({ entry: fileEntry }),
  firecrest: {
    method: 'PUT',
    path: '/filesystem/{system_name}/ops/chown',
    status: 200,
    answer: ({ entry }) => ({ output: entry }),
  },
  ...changesFiles,
  recover: 'rerun',
  paths: ['path'],
  timeoutMs: 30_000,
  errors: [
    'PathNotAbsolute',
    'PathNotAllowed',
    'InvalidUser',
    'FileNotFound',
    'PermissionDenied',
    'RemoteCommandFailed',
  ],
});
