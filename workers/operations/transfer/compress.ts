/** Packs an archive with GNU tar beside its target, which it takes the name of when it is whole. */
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { compressFiles } from '../../../shared/operations/transfer/compress.ts';
import { inDirectory, runTool } from '../../transfers/run-tool.ts';
import { packSayings, preparePacking } from '../filesystem/packing.ts';
import { partialPath } from '../filesystem/partial-path.ts';
import type { OperationContext } from '../operation-context.ts';
import { Parked } from '../parked.ts';

/** Arguments: partial file, target, directory to start in, then argv. */
const packInto = `part=$1 target=$2; shift 2; ( ${inDirectory} ) >/dev/null && mv -fT -- "$part" "$target"`;

/** A later run packs everything once more. */
export async function handleTransferCompress(
  input: InputOf<typeof compressFiles>,
  context: OperationContext,
): Promise<ResultOf<typeof compressFiles> | Parked> {
  const { targetPath } = input;
  const argv = async () => {
    const { argv: words, cwd, part } = await preparePacking(input, context);
    return ['sh', '-c', packInto, 'sh', part, targetPath, cwd, ...words];
  };
  const part = partialPath(targetPath, context.task.id);
  const run = {
    tool: 'tar',
    argv,
    isRepeatable: true,
    readsBytes: true,
    account: input.account,
    sayings: packSayings,
    partialPath: part,
  };
  const end = await runTool(run, context);
  return end instanceof Parked ? end : { path: targetPath, seconds: end.seconds };
}
