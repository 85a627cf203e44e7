/** The bytes of a file. FirecREST v2: GET /filesystem/{system_name}/ops/download; ranges as in RFC 9110, section 14. */
import { z } from 'zod';
import { clusterText, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';

export const download = defineOperation({
  name: 'filesystem.download',
  summary: 'Download a file',
  input: z.object({
    path: remotePath,
    range: clusterText(200).optional().describe('One range of bytes, e.g. `bytes=0-1023`; others are ignored'),
    ifRange: clusterText(200)
      .optional()
      .describe('The Last-Modified of an earlier answer: the whole file where it has changed since'),
  }),
  result: z.object({ sizeBytes: z.int().describe('Of the file'), sentBytes: z.int() }),
  firecrest: {
    method: 'GET',
    path: '/filesystem/{system_name}/ops/download',
    status: 200,
    headers: { range: 'range', 'if-range': 'ifRange' },
    answer: () => null,
  },
  relation: 'read_files',
  requires: ['ssh', 'filesystem'],
  lane: 'transfer',
  scope: 'system',
  mutates: false,
  bytes: 'out',
  recover: 'rerun',
  paths: ['path'],
  admission: 'with-files',
  timeoutMs: 3_600_000,
  errors: [
    'PathNotAbsolute',
    'PathNotAllowed',
    'FileNotFound',
    'PermissionDenied',
    'OutputTooLarge',
    'RangeNotSatisfiable',
    'TransferBroken',
  ],
});
