/** Removes by rm(1), however much there is. */
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { remove } from '../../../shared/operations/transfer/rm.ts';
import { runTool } from '../../transfers/run-tool.ts';
import { refuseRoots } from '../filesystem/refuse-roots.ts';
import type { OperationContext } from '../operation-context.ts';
import { Parked } from '../parked.ts';

/** On a later run what is missing was removed by an earlier one. */
export async function handleTransferRemove(
  { path, account }: InputOf<typeof remove>,
  context: OperationContext,
): Promise<ResultOf<typeof remove> | Parked> {
  if (context.journal.entry === null) await refuseRoots(path, context);
  const argv = (run: number) => ['rm', '-r', run === 1 ? '--interactive=never' : '--force', '--', path];
  const end = await runTool({ tool: 'rm', argv, isRepeatable: true, readsBytes: false, account }, context);
  return end instanceof Parked ? end : { path, seconds: end.seconds };
}
