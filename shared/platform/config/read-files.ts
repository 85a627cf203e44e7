/**
 * How configuration reaches files: text of a file, names in a folder. Handed in, so that tests need no disk and nothing
 * else of the configuration touches it.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface FileReader {
  /** The whole text, as UTF-8. Throws what `node:fs` throws. */
  readFile(path: string): string;
  /** File names in a folder, in any order. Throws what `node:fs` throws. */
  listFolder(path: string): string[];
}

/** The real file system. Synchronous: it is used once, before anything runs. */
export const diskReader: FileReader = {
  readFile: (path) => readFileSync(path, 'utf8'),
  listFolder: (path) => readdirSync(path),
};

/** The value, or why there is none: the error's code and nothing of the content. */
export function attempt<Value>(read: () => Value): { value: Value } | { reason: string } {
  try {
    return { value: read() };
  } catch (cause) {
    return { reason: reasonOf(cause) };
  }
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
  const words: Record<string, string> = {
    ENOENT: 'no such file or folder',
    EACCES: 'permission denied',
    EISDIR: 'is a folder',
    ENOTDIR: 'is not a folder',
  };
  return words[code] ?? code;
}
