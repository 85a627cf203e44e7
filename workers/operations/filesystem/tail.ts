/** The end of a file, with the meaning of tail(1): read from the end, but for what is counted from the beginning. */
import { type FileContent, linesDefault } from '../../../shared/operations/filesystem/file-content.ts';
import type { tail } from '../../../shared/operations/filesystem/tail.ts';
import type { InputOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { textLimit } from './text-limit.ts';
import { endOfLines, readText, startOfLastLines, type TextSource } from './text-source.ts';
import { withText } from './with-text.ts';

type Input = InputOf<typeof tail>;

export async function handleTail(
  input: Input,
  context: Pick<OperationContext, 'files' | 'stats' | 'system' | 'signal'>,
): Promise<FileContent> {
  const bytesMax = textLimit(context.system);
  const contentType = input.bytes ? 'bytes' : 'lines';
  const amount = input.bytes || input.lines;
  const count = Math.abs(amount || linesDefault);
  const isFrom = input.skipHeading && Boolean(amount);
  const wish = { path: input.path, bytesMax, said: `tail: cannot open '${input.path}' for reading` };
  return withText(wish, context, async (source) => {
    const start = await startOf(source, contentType, count, isFrom, bytesMax);
    const content = await readText(source, start, source.sizeBytes, bytesMax);
    // Upstream's number where none was given is the default, without a sign.
    return { content, contentType, startPosition: isFrom || !amount ? count : -count, endPosition: -1 };
  });
}

async function startOf(
  source: TextSource,
  unit: 'bytes' | 'lines',
  count: number,
  isFrom: boolean,
  bytesMax: number,
): Promise<number> {
  if (unit === 'bytes') return isFrom ? count - 1 : Math.max(0, source.sizeBytes - count);
  return isFrom ? endOfLines(source, count - 1) : startOfLastLines(source, count, bytesMax);
}
