/** Lists a directory, or one file. FirecREST v2: GET /filesystem/{system_name}/ops/ls. */
import { z } from 'zod';
import { laxBoolean, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { fileEntry } from './file-entry.ts';
import { readsFiles } from './file-work.ts';

export const ls = defineOperation({
  name: 'filesystem.ls',
  summary: 'List a directory',
  input: z.object({
    path: remotePath,
    showHidden: laxBoolean.default(false).describe('Also names that begin with a dot'),
    numericUid: laxBoolean.default(false).describe('Numbers in place of user and group names'),
    recursive: laxBoolean.default(false).describe('Also everything below'),
    dereference: laxBoolean.default(false).describe('What links point to, in place of the links'),
  }),
  result: z.object({ entries: z.array(fileEntry) }),
  firecrest: {
    method: 'GET',
    path: '/filesystem/{system_name}/ops/ls',
    status: 200,
    answer: ({ entries }) => ({ output: entries }),
  },
  ...readsFiles,
  paths: [{ field: 'path', isLinkUnless: ['dereference'] }],
  admission: 'with-files',
  timeoutMs: 30_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'OutputTooLarge'],
});
