/**
 * Lists a directory over SFTP, with the meaning of `ls -l` and of its options -A, -R, -L and -n (coreutils). A large one is
 * put into words and into order while the host still reads it.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { FileEntry } from '../../../shared/operations/filesystem/file-entry.ts';
import type { ls } from '../../../shared/operations/filesystem/ls.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { TakeEntries } from '../../ssh/read-directory.ts';
import type { FileAttributes } from '../../ssh/remote-files.ts';
import type { OperationContext } from '../operation-context.ts';
import { createDescriber, type Describe, type Found, linkTargetOf } from './describe-files.ts';
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
  const describe = createDescriber(input.numericUid, context.listing);
  const top = input.dereference ? await files.stat(input.path, { signal }) : await files.lstat(input.path, { signal });
  if (isDirectory(top.mode)) return { entries: await listTree(input, describe, context) };
  const linkTarget = await linkTargetOf(files, input.path, top, signal);
  return { entries: await describe([{ name: input.path, attributes: top, linkTarget }]) };
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
async function listTree(input: Input, describe: Describe, context: Context): Promise<FileEntry[]> {
  const all: FileEntry[] = [];
  let level: Branch[] = [{ relative: '', directory: Buffer.from(input.path), above: [] }];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > depthMax)
      throw new BrokerError('OutputTooLarge', `The listing is deeper than ${depthMax} directories.`);
    const next: Branch[] = [];
    await inParallel(level, async (branch) => {
      const { relative, directory, above } = branch;
      const path = await pathDown(directory, above, input, context);
      if (path === null) return;
      const describeInside = (inside: Inside[]): Promise<FileEntry[]> => {
        if (relative !== '') for (const entry of inside) entry.name = `${relative}/${entry.name}`;
        for (const { name, nameBytes, attributes } of input.recursive ? inside : []) {
          if (isDirectory(attributes.mode)) {
            next.push({ relative: name, directory: under(directory, nameBytes), above: path });
          }
        }
        return describe(inside);
      };
      for (const entries of await listOne(directory, input, describeInside, context)) {
        for (const entry of entries) all.push(entry);
      }
      if (all.length > entriesMax) {
        throw new BrokerError('OutputTooLarge', `The listing has more than ${entriesMax} entries.`);
      }
    });
    level = next;
  }
  return all.sort(byName);
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
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

/** Runs of entries, each in order, described while the next ones are on their way. */
async function listOne(
  directory: Buffer,
  input: Input,
  describe: (inside: Inside[]) => Promise<FileEntry[]>,
  context: Context,
): Promise<FileEntry[][]> {
  const { files, signal } = context;
  const runs: Promise<FileEntry[]>[] = [];
  const links: Inside[] = [];
  const add = (inside: Inside[]): void => {
    const run = describe(inside.sort(byName));
    run.catch(() => undefined); // told below
    runs.push(run);
  };
  const take: TakeEntries = (entries) => {
    const inside: Inside[] = [];
    for (const { name, nameBytes, attributes } of entries) {
      if (!input.showHidden && name.startsWith('.')) continue;
      // Only links are asked about; for the others there is nothing to wait for.
      const kind = isSymbolicLink(attributes.mode) ? links : inside;
      kind.push({ name, nameBytes, attributes, linkTarget: null });
    }
    add(inside);
  };
  await files.eachEntry(directory, take, { signal, entriesMax });
  await inParallel(links, async (entry) => {
    const path = under(directory, entry.nameBytes);
    const target = input.dereference ? await statOfTarget(path, context) : null;
    if (target !== null) entry.attributes = target;
    else entry.linkTarget = (await files.readlink(path, { signal })).toString();
  });
  add(links);
  return await Promise.all(runs);
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
