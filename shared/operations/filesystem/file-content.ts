/** What `ops/head` and `ops/tail` share: how much is asked for, and the part of a file that they answer with. */
import { z } from 'zod';
import { laxInteger } from '../fields.ts';

/** Lines where neither `bytes` nor `lines` is given, as head(1) and tail(1) have it. */
export const linesDefault = 10;

/** Null, an empty text and 0 mean unset, as upstream. */
function amount(what: string) {
  return z
    .preprocess((value) => (value === '' ? undefined : (value ?? undefined)), laxInteger.optional())
    .describe(what);
}

export const amounts = {
  bytes: amount('So many bytes'),
  lines: amount('So many lines'),
};

/** For `refine`: not both. */
export function isOneUnit({ bytes, lines }: { bytes?: number | undefined; lines?: number | undefined }): boolean {
  return !bytes || !lines;
}

export const oneUnit = {
  path: ['bytes'],
  message: 'must be left out where `lines` is given: Only one of `bytes` or `lines` can be specified',
};

/** Part of a file. Bytes that are no valid UTF-8 are U+FFFD; a character that a cut by bytes would split is kept whole. */
export const fileContent = z.object({
  content: z.string(),
  contentType: z.enum(['lines', 'bytes']),
  startPosition: z.int(),
  endPosition: z.int(),
});

export type FileContent = z.infer<typeof fileContent>;
