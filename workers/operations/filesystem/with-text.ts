/** Opens a text: a small file comes whole in one answer of the lstat loop, of another one no more is read over SFTP than must be. */
import type { OperationContext } from '../operation-context.ts';
import { openText, type TextSource, wholeText } from './text-source.ts';

export interface TextWish {
  path: string;
  /** Longest text of a file that does not know its size. */
  bytesMax: number;
  /** Begins the message of an error. */
  said: string;
}

/** Runs `act` with the text, perhaps twice where a channel broke. Throws what RemoteFiles and RemoteStats throw, OutputTooLarge. */
export async function withText<T>(
  { path, bytesMax, said }: TextWish,
  { files, stats, signal }: Pick<OperationContext, 'files' | 'stats' | 'signal'>,
  act: (source: TextSource) => Promise<T>,
): Promise<T> {
  const content = await stats.content(path, { signal });
  if (content !== null) return await act(wholeText(content));
  return await files.withOpenFile(path, async (file) => act(await openText(file, bytesMax)), { signal, said });
}
