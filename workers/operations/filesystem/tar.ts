/** What packing and unpacking share: GNU tar's options, and what its messages mean. */
import type { Compression } from '../../../shared/operations/filesystem/compression.ts';
import type { Saying } from '../remote-failure.ts';

const filters: Readonly<Record<Compression, readonly string[]>> = {
  none: [],
  bzip2: ['--bzip2'],
  gzip: ['--gzip'],
  xz: ['--xz'],
};

/**
 * The archive and its compression. `--force-local`: a colon in its name means no other host; `--no-unquote`: a backslash
 * in a name stands for itself.
 */
export function tarOptions(archive: string, compression: Compression): string[] {
  return ['--force-local', '--no-unquote', `--file=${archive}`, ...filters[compression]];
}

/** The caller named something that is no archive, or not one of that compression. GNU tar 1.34, gzip, bzip2, xz. */
export const archiveSayings: readonly Saying[] = [
  [
    /not in gzip format|is not a bzip2 file|File format not recognized|does not look like a tar archive/,
    'InvalidRequest',
  ],
  [/Unexpected EOF in archive|unexpected end of file|Unexpected end of input|ends unexpectedly/, 'InvalidRequest'],
];
