/** The beginning of a file, with the meaning of head(1): reads no further than it must. */
import { type FileContent, linesDefault } from '../../../shared/operations/filesystem/file-content.ts';
import type { head } from '../../../shared/operations/filesystem/head.ts';
import type { InputOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { textLimit } from './text-limit.ts';
import { endOfLines, readText, startOfLastLines, type TextSource } from './text-source.ts';
import { withText } from './with-text.ts';

type Input = InputOf<typeof head>;

export async function handleHead(
  input: Input,
  context: Pick<OperationContext, 'files' | 'stats' | 'system' | 'signal'>,
): Promise<FileContent> {
  const bytesMax = textLimit(context.system);
  const contentType = input.bytes ? 'bytes' : 'lines';
  const amount = input.bytes || input.lines;
  const count = Math.abs(amount || linesDefault);
  const isAllBut = Boolean(amount) && ((amount ?? 0) < 0 || input.skipTrailing);
  const wish = { path: input.path, bytesMax, said: `head: cannot open '${input.path}' for reading` };
  return withText(wish, context, async (source) => {
    const end = await endOf(source, contentType, count, isAllBut, bytesMax);
    const content = await readText(source, 0, end, bytesMax);
    return { content, contentType, startPosition: 0, endPosition: isAllBut ? -count : count };
  });
}

async function endOf(
  source: TextSource,
  unit: 'bytes' | 'lines',
  count: number,
  isAllBut: boolean,
  bytesMax: number,
): Promise<number> {
  if (unit === 'bytes') return isAllBut ? Math.max(0, source.sizeBytes - count) : count;
  return isAllBut ? startOfLastLines(source, count) : endOfLines(source, count, bytesMax);
}
