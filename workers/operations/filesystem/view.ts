/** A window of a file as text, over SFTP. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { view } from '../../../shared/operations/filesystem/view.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { textLimit } from './text-limit.ts';
import { openText, readText } from './text-source.ts';

/** FirecREST v2's, where the system allows as much. */
const sizeBytesDefault = 5 * 1024 * 1024;

export async function handleView(
  { path, size, offset }: InputOf<typeof view>,
  { files, system, signal }: Pick<OperationContext, 'files' | 'system' | 'signal'>,
): Promise<ResultOf<typeof view>> {
  const bytesMax = textLimit(system);
  if ((size ?? 0) > bytesMax) throw sizeTooLarge(bytesMax);
  const sizeBytes = size ?? Math.min(sizeBytesDefault, bytesMax);
  return files.withOpenFile(
    path,
    async (file) => {
      const source = await openText(file, bytesMax);
      return { text: await readText(source, offset, offset + sizeBytes, sizeBytes) };
    },
    { signal, said: `view: cannot open '${path}' for reading` },
  );
}

function sizeTooLarge(bytesMax: number): BrokerError {
  const message = `the \`size\` value must be at most ${bytesMax} bytes on this system`;
  return new BrokerError('InvalidRequest', `Invalid request: ${message}.`, {
    fields: [{ location: 'query', name: 'size', pointer: 'size', message }],
  });
}
