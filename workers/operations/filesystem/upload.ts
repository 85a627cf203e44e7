/**
 * Takes the body of the request that is held for the task into a file beside the target, which it replaces when the last
 * byte is there. A symbolic link to a file is followed; an existing target keeps its mode.
 */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { upload } from '../../../shared/operations/filesystem/upload.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import { pathNotAllowed } from '../../../shared/operations/paths.ts';
import type { OperationContext } from '../operation-context.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';
import { isDirectory, isRegularFile, isSymbolicLink } from './mode-letters.ts';
import { partialPath } from './partial-path.ts';
import { type Placement, placementOf, placeUpload } from './place-upload.ts';
import { hidingRetries } from './transfer-broken.ts';
import { unlessMissing } from './unless-missing.ts';

type Context = Pick<
  OperationContext,
  'files' | 'pathGate' | 'signal' | 'system' | 'exchange' | 'journal' | 'task' | 'log'
>;

export async function handleUpload(
  { path, fileName }: InputOf<typeof upload>,
  context: Context,
): Promise<ResultOf<typeof upload>> {
  const { files, journal, task, exchange } = context;
  const wanted = posix.join(path, fileName);
  const earlier = placementOf(journal.entry);
  if (earlier === null) {
    // The API is on its way while the place is looked at, and sends its bytes when they are asked for.
    if (!task.isCancelRequested) exchange.announce();
    const { target, mode } = await findTarget(wanted, context);
    const part = partialPath(target, task.id);
    if (task.attempt > 1) await unlessMissing(files.unlink(part)); // an earlier attempt lost its body with its worker
    refuseUnwanted(context);
    const taken = await takeBody(wanted, part, mode, context);
    const placement: Placement = { phase: 'placing', part, target, ...taken };
    // From here on the next attempt can finish what this one cannot.
    await journal.write({ ...placement });
    await placeUpload(placement, context, false);
    return { path: wanted, ...taken };
  }
  await placeUpload(earlier, context, true);
  const { sizeBytes, sha256 } = earlier;
  return { path: wanted, sizeBytes, ...(sha256 === undefined ? {} : { sha256 }) };
}

/** Where the bytes are to be in the end, and the permissions of what is there now. */
async function findTarget(
  wanted: string,
  { files, pathGate, signal, system }: Context,
): Promise<{ target: string; mode?: number }> {
  const found = await unlessMissing(files.lstat(wanted, { signal }));
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

/** Resolves with size and digest when all is on the cluster; leaves nothing behind otherwise. */
async function takeBody(
  wanted: string,
  part: string,
  mode: number | undefined,
  context: Context,
): Promise<{ sizeBytes: number; sha256: string }> {
  const { files, signal, exchange } = context;
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
        await hidingRetries(received.then(() => Promise.all([widened, file.finish()])));
        return { sizeBytes, sha256: hash.digest('hex') };
      },
      options,
    );
  } catch (error) {
    if (!(error instanceof BrokerError && error.code === 'FileExists')) await removePart(part, context);
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
