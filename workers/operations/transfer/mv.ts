/** Moves by mv(1). */
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { move } from '../../../shared/operations/transfer/mv.ts';
import { runTool } from '../../transfers/run-tool.ts';
import type { OperationContext } from '../operation-context.ts';
import { Parked } from '../parked.ts';

/** Not to be run twice: a second run cannot tell a source that was moved from one that never was. */
export async function handleTransferMove(
  { path, targetPath, account }: InputOf<typeof move>,
  context: OperationContext,
): Promise<ResultOf<typeof move> | Parked> {
  const argv = ['mv', '--force', '--', path, targetPath];
  const end = await runTool({ tool: 'mv', argv: () => argv, isRepeatable: false, readsBytes: true, account }, context);
  return end instanceof Parked ? end : { path, targetPath, seconds: end.seconds };
}
