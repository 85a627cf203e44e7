/** A window of a file as text. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { view } from '../../../shared/operations/filesystem/view.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { textLimit } from './text-limit.ts';
import { readText } from './text-source.ts';
import { withText } from './with-text.ts';

/** FirecREST v2's, where the system allows as much. */
const sizeBytesDefault = 5 * 1024 * 1024;

export async function handleView(
  { path, size, offset }: InputOf<typeof view>,
  context: Pick<OperationContext, 'files' | 'stats' | 'system' | 'signal'>,
): Promise<ResultOf<typeof view>> {
  const bytesMax = textLimit(context.system);
  if ((size ?? 0) > bytesMax) throw sizeTooLarge(bytesMax);
  const sizeBytes = size ?? Math.min(sizeBytesDefault, bytesMax);
  const wish = { path, bytesMax, said: `view: cannot open '${path}' for reading` };
  return withText(wish, context, async (source) => ({
    text: await readText(source, offset, offset + sizeBytes, sizeBytes),
  }));
}

function sizeTooLarge(bytesMax: number): BrokerError {
  const message = `the \`size\` value must be at most ${bytesMax} bytes on this system`;
  return new BrokerError('InvalidRequest', `Invalid request: ${message}.`, {
    fields: [{ location: 'query', name: 'size', pointer: 'size', message }],
  });
}
