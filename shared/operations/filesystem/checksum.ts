/** Checksum of a file's content. FirecREST v2: GET /filesystem/{system_name}/ops/checksum. */
import { z } from 'zod';
import { clusterText, remotePath } from '../fields.ts';
import { defineOperation } from '../operation.ts';
import { readsFiles } from './file-work.ts';

const checksumAlgorithms = ['MD5', 'SHA1', 'SHA224', 'SHA256', 'SHA384', 'SHA512', 'BLAKE2B'] as const;

export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

/** `sha-256`, `sha_256` and `Sha256` are SHA256; null and an empty text are unset. */
const algorithm = z.preprocess(
  (value) => {
    if (value === null || value === '') return undefined;
    return typeof value === 'string' ? value.toUpperCase().replace(/[-_]/g, '') : value;
  },
  clusterText(32)
    .pipe(z.enum(checksumAlgorithms, `must be one of ${checksumAlgorithms.join(', ')}`))
    .default('SHA256'),
);

export const checksum = defineOperation({
  name: 'filesystem.checksum',
  summary: 'Checksum of a file',
  input: z.object({ path: remotePath, algorithm }),
  result: z.object({ algorithm: z.string(), checksum: z.string().describe('Lower-case hexadecimal') }),
  firecrest: {
    method: 'GET',
    path: '/filesystem/{system_name}/ops/checksum',
    status: 200,
    answer: (output) => ({ output }),
  },
  ...readsFiles,
  paths: ['path'],
  admission: 'with-files',
  timeoutMs: 600_000,
  errors: ['PathNotAbsolute', 'PathNotAllowed', 'FileNotFound', 'PermissionDenied', 'RemoteCommandFailed'],
});
