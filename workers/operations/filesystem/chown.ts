/** Changes owner and group by chown(1), which knows the names. A half that is empty stays as it is. */
import type { chown } from '../../../shared/operations/filesystem/chown.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { remoteFailure } from '../remote-failure.ts';
import { describeFile } from './describe-files.ts';

export async function handleChown(
  { path, owner, group }: InputOf<typeof chown>,
  context: Pick<OperationContext, 'files' | 'shell' | 'listing' | 'signal'>,
): Promise<ResultOf<typeof chown>> {
  // `owner:` would mean the owner's login group, so the colon goes with a group only.
  const wanted = group === '' ? owner : `${owner}:${group}`;
  if (wanted !== '') {
    const result = await context.shell.run(['chown', '--', wanted, path], {
      signal: context.signal,
      usesCommandLoop: true,
    });
    if (result.exitCode !== 0) throw remoteFailure('chown', result);
  }
  return { entry: await describeFile(path, context) };
}
