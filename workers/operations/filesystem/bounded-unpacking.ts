/**
 * Unpacking with an end: GNU tar behind a counter of bytes and before a counter of entries, so that a small archive does
 * not unfold to more than its system allows. What was unpacked until then stays, as with any failure of tar.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Compression } from '../../../shared/operations/filesystem/compression.ts';
import type { TransfersConfig } from '../../../shared/platform/config/config.ts';

/** What one archive may unfold to. */
export type UnpackBounds = Pick<TransfersConfig, 'unpackBytesMax' | 'unpackEntriesMax'>;

/** An archive may have xz remember up to 4 GiB; xz's own presets need 65 MiB. */
const decompressors: Readonly<Record<Compression, readonly string[]>> = {
  none: ['cat'],
  bzip2: ['bzip2', '-dc'],
  gzip: ['gzip', '-dc'],
  xz: ['xz', '-dc', '--memlimit-decompress=1GiB'],
};

/** Exit codes of the program beside those of tar and of the decompressors. */
const exits = { bytes: 92, entries: 93 } as const;

/**
 * Arguments: bytes, entries, archive, directory, then the decompressor. tar names an entry before it unpacks it: once the
 * counter of names is gone, the next name ends tar. Each stage notes how it ended, for a POSIX pipeline knows the end of
 * its last one alone. 141: nobody read on, which is no fault of the decompressor.
 */
const program = `
bytes=$1 entries=$2 archive=$3 directory=$4
shift 4
decompressor=$1
notes=$(
  {
    { "$@" <"$archive"; echo "from $?" >&3; } |
    { head -c "$bytes" && [ "$(head -c 1 | wc -c)" -ne 0 ] && echo 'over bytes' >&3; } |
    { tar --extract --verbose --no-unquote --file=- "--directory=$directory"; echo "tar $?" >&3; } |
    awk -v "max=$entries" 'NR > max { print "over entries"; exit }' >&3
  } 3>&1
)
over= from=1 tar=1
set -- $notes
while [ $# -gt 1 ]; do
  case $1 in
    over) over=$2;;
    from) from=$2;;
    tar) tar=$2;;
  esac
  shift 2
done
case $over in
  bytes) exit ${exits.bytes};;
  entries) exit ${exits.entries};;
esac
if [ "$from" -eq 127 ]; then
  echo "tar: $decompressor: Cannot exec: no such command" >&2
  exit 2
fi
[ "$tar" -eq 0 ] || exit "$tar"
[ "$from" -eq 141 ] || exit "$from"
`;

/** The command that unpacks `archive` into `directory`. */
export function unpackCommand(
  archive: string,
  directory: string,
  compression: Compression,
  { unpackBytesMax, unpackEntriesMax }: UnpackBounds,
): string[] {
  const bounds = [unpackBytesMax, unpackEntriesMax].map(String);
  return ['sh', '-c', program, 'goldcrest-extract', ...bounds, archive, directory, ...decompressors[compression]];
}

/** ArchiveTooLarge where the command ended at a bound; null: its exit code means something else. */
export function unpackRefusal(exitCode: number | null, bounds: UnpackBounds): BrokerError | null {
  const { unpackBytesMax, unpackEntriesMax } = bounds;
  const most =
    exitCode === exits.bytes
      ? `${unpackBytesMax} bytes (\`unpack_size_max\`)`
      : exitCode === exits.entries
        ? `${unpackEntriesMax} entries (\`unpack_entries_max\`)`
        : null;
  if (most === null) return null;
  return new BrokerError(
    'ArchiveTooLarge',
    `The archive unpacks to more than ${most}; what was unpacked until then stays.`,
  );
}
