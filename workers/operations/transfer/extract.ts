/** Unpacks an archive with GNU tar. What was unpacked before a failure stays. */
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { extractFiles } from '../../../shared/operations/transfer/extract.ts';
import { runTool } from '../../transfers/run-tool.ts';
import { unpackRefusal } from '../filesystem/bounded-unpacking.ts';
import { extractCommand } from '../filesystem/extract.ts';
import { archiveSayings } from '../filesystem/tar.ts';
import type { OperationContext } from '../operation-context.ts';
import { Parked } from '../parked.ts';

/** Unpacking again replaces what is there, so a later run ends where the first would have. */
export async function handleTransferExtract(
  input: InputOf<typeof extractFiles>,
  context: OperationContext,
): Promise<ResultOf<typeof extractFiles> | Parked> {
  const argv = () => extractCommand(input, context);
  const refusalOf = (exitCode: number) => unpackRefusal(exitCode, context.system.transfers);
  const end = await runTool(
    {
      tool: 'tar',
      argv,
      isRepeatable: true,
      readsBytes: true,
      account: input.account,
      sayings: archiveSayings,
      refusalOf,
    },
    context,
  );
  return end instanceof Parked ? end : { path: input.targetPath, seconds: end.seconds };
}
