/** Copies by cp(1), links as links unless they are to be followed, with everything that can be kept. */
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { copy } from '../../../shared/operations/transfer/cp.ts';
import { runTool } from '../../transfers/run-tool.ts';
import type { OperationContext } from '../operation-context.ts';
import { Parked } from '../parked.ts';

/** Copying once more ends where the first copy would have. */
export async function handleTransferCopy(
  { path, targetPath, dereference, account }: InputOf<typeof copy>,
  context: OperationContext,
): Promise<ResultOf<typeof copy> | Parked> {
  const argv = ['cp', '--force', dereference ? '-RL' : '-Rd', '--preserve=all', '--', path, targetPath];
  const end = await runTool({ tool: 'cp', argv: () => argv, isRepeatable: true, readsBytes: true, account }, context);
  return end instanceof Parked ? end : { path, targetPath, seconds: end.seconds };
}
