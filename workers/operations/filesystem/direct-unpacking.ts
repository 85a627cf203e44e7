/**
 * Unpacking by tar alone, without the pipeline of `bounded-unpacking.ts`: for archives whose size says that they pass no
 * bound. Deflate gives at most 258 bytes for 2 bits (RFC 1951), and each entry takes a block of its own.
 *
 * The size is only what the choice goes by: the file may be another by then, and gzip reads older formats that unfold to
 * more. What keeps the bound is tar, which stops itself before it reads further than that. GNU tar 1.26 and newer.
 */
import type { Compression } from '../../../shared/operations/filesystem/compression.ts';
import type { RunResult } from '../../ssh/remote-shell.ts';
import type { UnpackBounds } from './bounded-unpacking.ts';
import { tarOptions } from './tar.ts';

/** Of a header, without which there is no entry. */
const blockBytes = 512;
/** What tar reads at a time where nothing else is said. */
const recordBytes = 20 * blockBytes;

/** Bytes of tar in a byte of the archive, at most. The others have no such bound, or one that proves little. */
const growthMax: Readonly<Partial<Record<Compression, number>>> = { none: 1, gzip: (258 * 8) / 2 };

/** A file in the place of `--file`: by its name tar would find out a compression that nobody asked for. */
const fromInput = 'exec "$@" <"$0"';

/** The archive as it was looked at. */
export interface LookedAtArchive {
  path: string;
  sizeBytes: number;
  compression: Compression;
}

/** The command; null where the archive might unfold to more than the bounds, which is then counted by the pipeline. */
export function directUnpackCommand(
  { path, sizeBytes, compression }: LookedAtArchive,
  directory: string,
  { unpackBytesMax, unpackEntriesMax }: UnpackBounds,
): string[] | null {
  const growth = growthMax[compression];
  if (growth === undefined) return null;
  const recordsMax = Math.floor(Math.min(unpackBytesMax, unpackEntriesMax * blockBytes) / recordBytes);
  if (Math.ceil((sizeBytes * growth) / recordBytes) > recordsMax) return null;
  const options = [
    `--directory=${directory}`,
    // Each time that many records are to be read: the next one is one too many. tar waits for what it starts.
    ...[`--checkpoint=${recordsMax + 1}`, '--checkpoint-action=exec=kill -TERM $PPID'],
  ];
  const unpack = (archive: string) => ['tar', '--extract', ...tarOptions(archive, compression), ...options];
  return compression === 'none' ? ['sh', '-c', fromInput, path, ...unpack('-')] : unpack(path);
}

/** Whether tar stopped itself; 143 is what a shell makes of it. */
export function wasStoppedShort({ exitCode, signalName }: RunResult): boolean {
  return exitCode === 128 + 15 || signalName === 'TERM';
}
