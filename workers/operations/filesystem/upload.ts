/**
 * Takes the body of the request that is held for the task into a file beside the target, which it replaces when the last
 * byte is there. A symbolic link to a file is followed; an existing target keeps its mode.
 */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../../shared/errors/catalogue.ts';
import type { upload } from '../../../shared/operations/filesystem/upload.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import { pathNotAllowed } from '../../../shared/operations/paths.ts';
import type { FileAttributes } from '../../ssh/remote-files.ts';
import type { OperationContext } from '../operation-context.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';
import { isDirectory, isRegularFile, isSymbolicLink } from './mode-letters.ts';
import { partialPath } from './partial-path.ts';
import { finishPlacement, type Placement, placementOf, placeUpload } from './place-upload.ts';
import { hidingRetries } from './transfer-broken.ts';
import { unlessMissing } from './unless-missing.ts';

type Context = Pick<
  OperationContext,
  'files' | 'pathGate' | 'signal' | 'system' | 'exchange' | 'journal' | 'task' | 'log'
>;

/**
 * Tells the API to come, which sends its bytes only when they are asked for, and looks at the place meanwhile; null where nothing is
 * there. Undefined: an earlier attempt has all bytes, and nobody comes.
 */
export function lookAtPlace(
  { path, fileName }: InputOf<typeof upload>,
  { files, journal, task, exchange, signal }: Pick<Context, 'files' | 'journal' | 'task' | 'exchange' | 'signal'>,
): Promise<FileAttributes | null> | undefined {
  if (placementOf(journal.entry) !== null) return undefined;
  if (!task.isCancelRequested) exchange.announce();
  return unlessMissing(files.lstat(posix.join(path, fileName), { signal }));
}

export async function handleUpload(
  input: InputOf<typeof upload>,
  context: Context,
  looked = lookAtPlace(input, context),
): Promise<ResultOf<typeof upload>> {
  const { files, journal, task } = context;
  const wanted = posix.join(input.path, input.fileName);
  const earlier = placementOf(journal.entry);
  if (earlier !== null) {
    await finishPlacement(earlier, context);
    const { sizeBytes, sha256 } = earlier;
    return { path: wanted, sizeBytes, ...(sha256 === undefined ? {} : { sha256 }) };
  }
  const { target, mode } = await findTarget(wanted, (await looked) ?? null, context);
  const part = partialPath(target, task.id);
  if (task.attempt > 1) await unlessMissing(files.unlink(part)); // an earlier attempt lost its body with its worker
  refuseUnwanted(context);
  let journaled: Promise<void> | undefined;
  const taken = await takeBody(wanted, part, mode, context, (all) => {
    // Written while the last bytes are on their way to the cluster. The next attempt compares what it finds with the digest.
    journaled = journal.write({ phase: 'placing', part, target, ...all } satisfies Placement);
    journaled.catch(() => undefined); // told below
  });
  // From here on the next attempt can finish what this one cannot.
  await journaled;
  await placeUpload({ part, target }, context);
  return { path: wanted, ...taken };
}

/** Where the bytes are to be in the end, and the permissions of what is there now. */
async function findTarget(
  wanted: string,
  found: FileAttributes | null,
  { files, pathGate, signal, system }: Context,
): Promise<{ target: string; mode?: number }> {
  if (found === null) return { target: wanted };
  if (!isSymbolicLink(found.mode)) return { target: wanted, mode: permissionsOf(wanted, found.mode) };
  const behind = await unlessMissing(files.stat(wanted, { signal }));
  if (behind === null) return { target: wanted };
  const mode = permissionsOf(wanted, behind.mode);
  if (!(await pathGate.contains(wanted, signal))) throw pathNotAllowed(wanted, system.name, 'a symbolic link');
  return { target: (await files.realpath(wanted, { signal })).toString(), mode };
}

function permissionsOf(wanted: string, mode: number): number {
  if (isRegularFile(mode)) return mode & 0o7777;
  const what = isDirectory(mode) ? 'Is a directory' : 'Not a regular file';
  throw new BrokerError('InvalidRequest', `cannot create regular file '${wanted}': ${what}`);
}

interface Taken {
  sizeBytes: number;
  sha256: string;
}

/** Of a worker that stops or has lost the task: the next attempt finishes what was journaled. */
const handedOn: ReadonlySet<ErrorCode> = new Set(['ShuttingDown', 'WorkerLost']);

/**
 * `onAll`: every byte has come here. Resolves when all is on the cluster; otherwise leaves nothing behind but what the next attempt
 * can finish.
 */
async function takeBody(
  wanted: string,
  part: string,
  mode: number | undefined,
  context: Context,
  onAll: (taken: Taken) => void,
): Promise<Taken> {
  const { files, signal, exchange } = context;
  let hasAll = false;
  const options = { signal, said: `cannot create regular file '${wanted}'`, ...(mode === undefined ? {} : { mode }) };
  try {
    return await files.withNewFile(
      part,
      async (file) => {
        // The server has applied the user's umask, which may have taken something away.
        const widened = mode === undefined ? undefined : files.chmod(part, mode, { signal });
        widened?.catch(() => undefined); // told below
        const hash = createHash('sha256');
        let sizeBytes = 0;
        const received = exchange.receive((chunk) => {
          sizeBytes += chunk.length;
          hash.update(chunk);
          return file.append(chunk);
        });
        const written = received.then(async () => {
          const finished = file.finish();
          finished.catch(() => undefined); // told below
          const taken = { sizeBytes, sha256: hash.digest('hex') };
          hasAll = true;
          onAll(taken);
          await Promise.all([widened, finished]);
          return taken;
        });
        return await hidingRetries(written);
      },
      options,
    );
  } catch (error) {
    const code = error instanceof BrokerError ? error.code : null;
    const isKept = code === 'FileExists' || (hasAll && code !== null && handedOn.has(code));
    if (!isKept) await removePart(part, context);
    throw error;
  }
}

/** Not by the signal of the task, which may be why there is something to remove. */
async function removePart(part: string, { files, log }: Context): Promise<void> {
  try {
    await unlessMissing(files.unlink(part));
  } catch (error) {
    log.warn({ err: error, part }, 'the part of an upload could not be removed');
  }
}
