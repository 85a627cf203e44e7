/** A file's bytes into a directory. FirecREST v2: POST /filesystem/{system_name}/ops/upload. */
import { z } from 'zod';
import { clusterText, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';

/** Linux's NAME_MAX. */
const nameBytesMax = 255;

export const upload = defineOperation({
  name: 'filesystem.upload',
  summary: 'Upload a file',
  input: z.object({
    path: remotePath.describe('The directory'),
    fileName: clusterText(nameBytesMax)
      .refine((name) => name !== '' && name !== '.' && name !== '..', 'must be the name of a file')
      .refine((name) => !name.includes('/'), 'must not contain a slash')
      .describe('The name in the directory; it is that of the part `file`'),
  }),
  result: z.object({
    path: z.string(),
    sizeBytes: z.int(),
    sha256: z.string().optional().describe('Of the bytes, hexadecimal'),
  }),
  firecrest: {
    method: 'POST',
    path: '/filesystem/{system_name}/ops/upload',
    status: 204,
    answer: () => null,
  },
  relation: 'write_files',
  requires: ['ssh', 'filesystem'],
  lane: 'transfer',
  scope: 'system',
  mutates: true,
  bytes: 'in',
  recover: 'verify',
  paths: ['path'],
  timeoutMs: 3_600_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'RequestTimeout', 'TransferBroken'],
});
