/** Type of a file by file(1), which guesses it from the content. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { file } from '../../../shared/operations/filesystem/file.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { remoteFailure } from '../remote-failure.ts';

/** file(1) ends well for a file that is missing, so that is looked for before, and again in what it says. */
export async function handleFile(
  { path }: InputOf<typeof file>,
  { files, shell, signal }: Pick<OperationContext, 'files' | 'shell' | 'signal'>,
): Promise<ResultOf<typeof file>> {
  await files.lstat(path, { signal });
  // In the C locale the name that a link points to would come as octal escapes.
  const result = await shell.run(['file', '-b', '--', path], {
    signal,
    env: { LC_ALL: 'C.UTF-8' },
    usesCommandLoop: true,
  });
  if (result.exitCode !== 0) throw remoteFailure('file', result);
  const description = lastLine(result.stdout.toString());
  if (/^cannot (?:open|stat) .*\(No such file or directory\)$/.test(description)) {
    throw new BrokerError('FileNotFound', `file: cannot open '${path}': No such file or directory`);
  }
  return { description };
}

/** What a start-up file of the shell printed may stand before it; file(1) itself prints one line. */
function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
