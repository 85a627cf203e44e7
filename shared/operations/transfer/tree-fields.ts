/** What the operations over trees have in common: filters, what counts as the same, and what is told of the end. */
import { z } from 'zod';
import { clusterText, laxBoolean } from '../fields.ts';
import { movedBytes } from './transfer-job.ts';

const patternsMax = 50;
const patternBytesMax = 256;
/** In all: they travel on a command line. */
const filterBytesMax = 4_096;
/** More would let a pattern take very long over a name. */
const starsMax = 8;

const pattern = clusterText(patternBytesMax)
  .refine((text) => /[^/]/.test(text), 'must not be empty')
  .refine((text) => (text.match(/\*+/g)?.length ?? 0) <= starsMax, `must have at most ${starsMax} stars`);

const patterns = z
  .array(pattern, 'must be a list of texts')
  .max(patternsMax, `must hold at most ${patternsMax} patterns`)
  .refine(
    (all) => all.reduce((sum, text) => sum + Buffer.byteLength(text), 0) <= filterBytesMax,
    `must have at most ${filterBytesMax} bytes in all`,
  )
  .default([]);

const globs = '`*` and `?` stay within a name, `**` does not; a pattern without a slash is for names at any depth';

export const treeFilters = {
  include: patterns.describe(`Only what matches one of these, and what is below it. ${globs}`),
  exclude: patterns.describe(`Not what matches one of these, nor what is below it. ${globs}`),
};

/** Whether failing entries are left out. */
export const skipFailures = laxBoolean
  .default(false)
  .describe('Entries that cannot be read or written are left out and told of in the result; else they fail the task');

export const merge = laxBoolean
  .default(false)
  .describe('A directory that is there is merged with, a file that is there is replaced; else either is refused');

/** What counts as the same, and is left alone. */
export const sync = z
  .enum(['size', 'mtime', 'checksum'], 'must be one of size, mtime, checksum')
  .nullish()
  .describe(
    'What is the same on the target already is left alone: by size, by size and time in seconds, or by size and SHA-256',
  );

const amount = z.object({ entries: z.int(), bytes: z.int() });
const names = z.array(z.string());

/** Of one end of a transfer of a tree. Names that are no UTF-8 are shown with replacement characters. */
export const treeResult = {
  ...movedBytes,
  bytes: z.int().describe('Bytes of the archive that went through the store'),
  sha256: z.string().describe('SHA-256 of that archive, hexadecimal'),
  entries: z.int(),
  files: z.int(),
  directories: z.int(),
  links: z.int(),
  contentBytes: z.int().describe('Bytes of the files in it'),
  copied: amount,
  skipped: amount.describe('The same on the target already'),
  copiedPaths: names.describe('The first of them, where the target was there already'),
  skippedPaths: names.describe('The first of them'),
  failuresCount: z.int(),
  failures: z.array(z.object({ path: z.string(), reason: z.string() })).describe('The first of them'),
};

type FirstNames = Record<'copiedPaths' | 'skippedPaths', string[]> & { failures: { path: string; reason: string }[] };

/** The same with half as many names: they are the first of several anyway, and counted apart. */
export function withFewerNames<Result extends FirstNames>(result: Result): Result {
  const half = <T>(list: T[]): T[] => list.slice(0, list.length >> 1);
  const { copiedPaths, skippedPaths, failures } = result;
  return {
    ...result,
    copiedPaths: half(copiedPaths),
    skippedPaths: half(skippedPaths),
    failures: half(failures),
  };
}

/** The line of FirecREST's log. */
export function treeSuccessLine({ entries, sha256 }: { entries: number; sha256: string }): string {
  return `Tree was successfully transferred (entries: ${entries}, sha256: ${sha256}).`;
}
