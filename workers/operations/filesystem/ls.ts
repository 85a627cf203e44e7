/** Lists a directory over SFTP, with the meaning of `ls -l` and of its options -A, -R, -L and -n (coreutils). */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { ls } from '../../../shared/operations/filesystem/ls.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { FileAttributes } from '../../ssh/remote-files.ts';
import type { OperationContext } from '../operation-context.ts';
import { describeFiles, type Found, linkTargetOf } from './describe-files.ts';
import { isDirectory, isSymbolicLink } from './mode-letters.ts';

/** Most entries of one listing, over all directories of a recursive one. */
const entriesMax = 100_000;
/** Deepest directory of a recursive listing; a loop of links ends here at the latest. */
const depthMax = 64;
/** Requests of one listing in flight on the file channel. */
const parallelMax = 32;

type Input = InputOf<typeof ls>;
type Context = Pick<OperationContext, 'files' | 'listing' | 'pathGate' | 'signal'>;

export async function handleLs(input: Input, context: Context): Promise<ResultOf<typeof ls>> {
  const { files, signal } = context;
  const top = input.dereference ? await files.stat(input.path, { signal }) : await files.lstat(input.path, { signal });
  const found = isDirectory(top.mode)
    ? await listTree(input, context)
    : [{ name: input.path, attributes: top, linkTarget: await linkTargetOf(files, input.path, top, signal) }];
  return { entries: await describeFiles(found, input.numericUid, context.listing) };
}

/** A name found in a directory, with its bytes. */
interface Inside extends Found {
  nameBytes: Buffer;
}

/** A directory still to be listed, and the real paths of those above it. */
interface Branch {
  /** As the answer names it. */
  relative: string;
  /** As the cluster knows it: names are bytes there, and may be no text. */
  directory: Buffer;
  above: readonly string[];
}

/** The directory's entries; with `recursive` those below it as well, named relative to it. */
async function listTree(input: Input, context: Context): Promise<Found[]> {
  const all: Found[] = [];
  let level: Branch[] = [{ relative: '', directory: Buffer.from(input.path), above: [] }];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > depthMax)
      throw new BrokerError('OutputTooLarge', `The listing is deeper than ${depthMax} directories.`);
    const next: Branch[] = [];
    await inParallel(level, async ({ relative, directory, above }) => {
      const path = await pathDown(directory, above, input, context);
      if (path === null) return;
      for (const entry of await listOne(directory, input, context)) {
        const name = relative === '' ? entry.name : `${relative}/${entry.name}`;
        all.push({ name, attributes: entry.attributes, linkTarget: entry.linkTarget });
        if (input.recursive && isDirectory(entry.attributes.mode)) {
          next.push({ relative: name, directory: under(directory, entry.nameBytes), above: path });
        }
      }
      if (all.length > entriesMax) {
        throw new BrokerError('OutputTooLarge', `The listing has more than ${entriesMax} entries.`);
      }
    });
    level = next;
  }
  return all.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** The real paths from the top down to the directory; null where it is one of those above it: links lead in a circle. */
async function pathDown(
  directory: Buffer,
  above: readonly string[],
  input: Input,
  { files, signal }: Context,
): Promise<readonly string[] | null> {
  if (!input.dereference || !input.recursive) return above;
  const real = (await files.realpath(directory, { signal })).toString('latin1');
  return above.includes(real) ? null : [...above, real];
}

async function listOne(directory: Buffer, input: Input, context: Context): Promise<Inside[]> {
  const { files, signal } = context;
  const entries = await files.readdir(directory, { signal, entriesMax });
  const shown = entries.filter((entry) => input.showHidden || !entry.name.startsWith('.'));
  const inside = shown.map(
    ({ name, nameBytes, attributes }): Inside => ({ name, nameBytes, attributes, linkTarget: null }),
  );
  // Only links are asked about; for the others there is nothing to wait for.
  const links = inside.filter(({ attributes }) => isSymbolicLink(attributes.mode));
  await inParallel(links, async (entry) => {
    const path = under(directory, entry.nameBytes);
    const target = input.dereference ? await statOfTarget(path, context) : null;
    if (target !== null) entry.attributes = target;
    else entry.linkTarget = (await files.readlink(path, { signal })).toString();
  });
  return inside;
}

const slash = Buffer.from('/');

function under(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, slash, name]);
}

/**
 * What a link points at, or null where it points at nothing that can be seen, or out of the file systems of the system;
 * the link itself is shown then, and not gone into.
 */
async function statOfTarget(path: Buffer, { files, pathGate, signal }: Context): Promise<FileAttributes | null> {
  try {
    const [target, isInside] = await Promise.all([files.stat(path, { signal }), pathGate.contains(path, signal)]);
    return isInside ? target : null;
  } catch (error) {
    const isBroken =
      error instanceof BrokerError && ['FileNotFound', 'PermissionDenied', 'RemoteCommandFailed'].includes(error.code);
    if (!isBroken) throw error;
    return null;
  }
}

/** Runs `work` over the items, at most `parallelMax` at a time; the first failure ends it. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  let hasFailed = false;
  const lane = async (): Promise<void> => {
    for (const item of queue) {
      if (hasFailed) return;
      await work(item).catch((error: unknown) => {
        hasFailed = true;
        throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallelMax, items.length) }, lane));
}
