/** How an archive is packed with GNU tar: what is looked at before, and the command that does it. */
import { posix } from 'node:path';
import type { Word } from '../../../shared/commands/command-line.ts';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { compress } from '../../../shared/operations/filesystem/compress.ts';
import type { InputOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import type { Saying } from '../remote-failure.ts';
import { type ArchiveSource, findSource, findTree, nameInside, realPathOfName } from './archive-source.ts';
import { isDirectory, isRegularFile, isSymbolicLink } from './mode-letters.ts';
import { partialPath } from './partial-path.ts';
import { tarOptions } from './tar.ts';
import { unlessMissing } from './unless-missing.ts';

type Input = InputOf<typeof compress>;
type Context = Pick<OperationContext, 'files' | 'signal' | 'task'>;

/** The command, where it starts, and the file it writes, which is to take the target's name when it is whole. */
export interface Packing {
  argv: readonly Word[];
  cwd: Word;
  part: string;
}

/** Looks at source and target. Throws FileNotFound, PermissionDenied, InvalidRequest and what RemoteFiles throws. */
export async function preparePacking(input: Input, context: Context): Promise<Packing> {
  const { path, targetPath, matchPattern, dereference } = input;
  const { files, signal, task } = context;
  const part = partialPath(targetPath, task.id);
  const looks = [
    matchPattern === null ? findSource(path, dereference, context) : findTree(path, context),
    checkTarget(targetPath, context),
    realPathOfName(targetPath, context),
    realPathOfName(part, context),
  ] as const;
  for (const look of looks) look.catch(() => undefined); // told in this order
  const source = await looks[0];
  await looks[1];
  const [realTarget, realPart] = [await looks[2], await looks[3]];
  if (realTarget.equals(source.real)) {
    throw new BrokerError('InvalidRequest', `tar: '${path}' cannot be packed into itself`);
  }
  const inside = [realTarget, realPart].flatMap((real) => nameInside(source, real) ?? []);
  // What is left of an earlier attempt may still be written to: not by its name any more.
  if (task.attempt > 1) await unlessMissing(files.unlink(part, { signal }));
  // Within the source it is made before tar looks there: a directory that changes while it is packed is an error.
  if (inside.length > 0) await files.writeFile(part, Buffer.alloc(0), { signal });
  return { argv: packingCommand(input, source, { part, inside }), cwd: source.directory, part };
}

/** A new name in a directory that is there, or a file or link that may be replaced. */
async function checkTarget(targetPath: string, { files, signal }: Pick<Context, 'files' | 'signal'>): Promise<void> {
  const isDirectoryName = targetPath.endsWith('/');
  const found = isDirectoryName ? null : await unlessMissing(files.lstat(targetPath, { signal }));
  if (isDirectoryName || (found !== null && isDirectory(found.mode))) {
    throw new BrokerError('InvalidRequest', `tar: ${targetPath}: Cannot open: Is a directory`);
  }
  if (found === null) await files.stat(posix.dirname(targetPath), { signal });
  else if (!isRegularFile(found.mode) && !isSymbolicLink(found.mode)) {
    throw new BrokerError('InvalidRequest', `tar: '${targetPath}' exists and is not a regular file`);
  }
}

/**
 * find hands the names to tar, and either one's failure is that of both: a POSIX pipeline knows only the last one's. The
 * arguments are the pattern, how links are treated, and tar's own from there on.
 */
const packMatches = `
pattern=$1 links=$2
shift 2
codes=$(
  {
    { find "$links" . -regextype findutils-default -type f -regex "$pattern" -print0; echo $? >&3; } |
    { tar "$@" --null --files-from=- >/dev/null; echo $? >&3; }
  } 3>&1
)
set -- $codes
[ $# -eq 2 ] || exit 1
for code; do
  [ "$code" -eq 0 ] || exit "$code"
done
`;

/** findutils 4.9; dash, which gives no reason where it may not enter a directory. */
export const packSayings: readonly Saying[] = [
  [/^find: (?:.*regular expression|Unmatched |Invalid )/m, 'InvalidRequest'],
  [/ cd: can't cd to /, 'PermissionDenied'],
];

/** `inside`: the archive, old and new, by the names they would have in it. */
interface Destination {
  part: string;
  inside: readonly Buffer[];
}

function packingCommand(
  { matchPattern, compression, dereference }: Input,
  source: ArchiveSource,
  { part, inside }: Destination,
): readonly Word[] {
  const options: Word[] = [
    ...['--create', ...tarOptions(part, compression)],
    ...(dereference ? ['--dereference'] : []),
    // tar knows its own archive only where it writes it itself, and not through a compressor.
    ...['--anchored', '--no-wildcards', ...inside.flatMap((name) => ['--exclude', name])],
  ];
  return matchPattern === null
    ? ['tar', ...options, '--', source.name]
    : ['sh', '-c', packMatches, 'sh', matchPattern, dereference ? '-L' : '-P', ...options];
}
