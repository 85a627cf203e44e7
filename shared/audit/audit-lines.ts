/**
 * Where the lines of a trail go besides Redis: files of a directory, or standard output. A line is with the operating
 * system when `write` returns, so a process that is killed takes none with it.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export interface AuditLines {
  /** Throws where the line could not be written. */
  write(text: string): void;
  close(): void;
}

/** A file is followed by another one at this size. */
const fileBytesMax = 128 * 1024 * 1024;

/** `<writer>.000001.jsonl` and on, for their owner's eyes. Opened with the first line. */
export function createLineFiles(directory: string, writer: string, bytesMax = fileBytesMax): AuditLines {
  let file: { descriptor: number; sizeBytes: number } | null = null;
  let number = 0;
  const open = () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, `${writer}.${String(number + 1).padStart(6, '0')}.jsonl`);
    const opened = { descriptor: openSync(path, 'a', 0o600), sizeBytes: 0 };
    number += 1;
    return opened;
  };
  const close = (): void => {
    if (file !== null) closeSync(file.descriptor);
    file = null;
  };
  return {
    write(text) {
      if (file !== null && file.sizeBytes >= bytesMax) close();
      file ??= open();
      file.sizeBytes += writeWhole(file.descriptor, file.sizeBytes, Buffer.from(`${text}\n`));
    },
    close,
  };
}

/** All of the bytes or none: a disk that is nearly full takes a part, which is taken away again. */
function writeWhole(descriptor: number, sizeBytes: number, bytes: Buffer): number {
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
  } catch (error) {
    ftruncateSync(descriptor, sizeBytes);
    throw error;
  }
  return bytes.length;
}

/** For a stream that takes whole lines, such as standard output. */
export function createLinesTo(stream: { write(text: string): unknown }): AuditLines {
  return { write: (text) => void stream.write(`${text}\n`), close: () => undefined };
}
