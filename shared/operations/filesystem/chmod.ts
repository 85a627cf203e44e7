/** Changes the mode of a file. FirecREST v2: PUT /filesystem/{system_name}/ops/chmod. */
import { z } from 'zod';
import { clusterText, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { fileEntry } from './file-entry.ts';
import { changesFiles } from './file-work.ts';

/** chmod(1): octal digits, one operator with octal digits, or symbolic clauses with commas between. */
const octalMode = /^0*[0-7]{1,4}$/;
const operatorMode = /^[-+=]0*[0-7]{1,4}$/;
const symbolicMode = /^[ugoa]*([-+=]([rwxXst]*|[ugo]))+(,[ugoa]*([-+=]([rwxXst]*|[ugo]))+)*$/;

const fileMode = clusterText(128).refine(
  (mode) => octalMode.test(mode) || operatorMode.test(mode) || symbolicMode.test(mode),
  'must be a mode such as 640 or u=rw,g=r',
);

export const chmod = defineOperation({
  name: 'filesystem.chmod',
  summary: 'Change the mode of a file',
  input: z.object({
    path: remotePath,
    mode: fileMode.describe('Octal digits or symbolic, as GNU chmod reads it'),
  }),
  result: z.object({ entry: fileEntry }),
  firecrest: {
    method: 'PUT',
    path: '/filesystem/{system_name}/ops/chmod',
    status: 200,
    answer: ({ entry }) => ({ output: entry }),
  },
  ...changesFiles,
  recover: 'rerun',
  paths: ['path'],
  timeoutMs: 30_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'RemoteCommandFailed'],
});
