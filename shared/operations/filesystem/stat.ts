/** The ten fields of stat(2) of a file. FirecREST v2: GET /filesystem/{system_name}/ops/stat. */
import { z } from 'zod';
import { laxBoolean, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { readsFiles } from './file-work.ts';

export const stat = defineOperation({
  name: 'filesystem.stat',
  summary: 'Status of a file',
  input: z.object({
    path: remotePath,
    dereference: laxBoolean.default(false).describe('Status of what a link points to, in place of the link'),
  }),
  result: z.object({
    mode: z.int().describe('st_mode with the type bits'),
    ino: z.int(),
    dev: z.int(),
    nlink: z.int(),
    uid: z.int(),
    gid: z.int(),
    size: z.int().describe('Bytes'),
    atime: z.int().describe('Seconds since the epoch'),
    ctime: z.int().describe('Seconds since the epoch'),
    mtime: z.int().describe('Seconds since the epoch'),
  }),
  firecrest: {
    method: 'GET',
    path: '/filesystem/{system_name}/ops/stat',
    status: 200,
    answer: (output) => ({ output }),
  },
  ...readsFiles,
  paths: [{ field: 'path', isLinkUnless: ['dereference'] }],
  admission: 'with-stats',
  timeoutMs: 30_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied'],
});
