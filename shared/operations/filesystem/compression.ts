/** How an archive is compressed, as FirecREST v2 names it. */
import { z } from 'zod';
import { clusterText } from '../fields.ts';

const compressions = ['none', 'bzip2', 'gzip', 'xz'] as const;

export type Compression = (typeof compressions)[number];

/** Null and an empty text are unset, which is gzip. */
export const compression = z.preprocess(
  (value) => (value === null || value === '' ? undefined : value),
  clusterText(32)
    .pipe(z.enum(compressions, `must be one of ${compressions.join(', ')}`))
    .default('gzip'),
);
