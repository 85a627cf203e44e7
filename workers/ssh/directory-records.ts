/** Entries of a directory as the file loop sends them: mode, owner, group, size, atime, mtime (as in SFTP version 3), length of the name, name. */
import { FileLoopLost } from './arrivals.ts';
import type { TakeEntries } from './read-directory.ts';
import type { DirectoryEntry } from './remote-files.ts';

const fieldsBytes = 30;
const nameLengthAt = 28;

/** Is fed what comes; true when the last record was there. Throws FileLoopLost for what cannot be. */
export function createRecordReader(take: TakeEntries): (chunk: Buffer) => boolean {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const entries: DirectoryEntry[] = [];
    let at = 0;
    let isEnd = false;
    while (!isEnd && bytes.length - at >= fieldsBytes) {
      const nameAt = at + fieldsBytes;
      const nameEnd = nameAt + bytes.readUInt16BE(at + nameLengthAt);
      if (nameEnd > bytes.length) break;
      isEnd = nameEnd === nameAt;
      if (!isEnd) entries.push(entryAt(bytes, at, nameAt, nameEnd));
      at = nameEnd;
    }
    if (isEnd && at < bytes.length) throw new FileLoopLost('Something came behind the end of a directory');
    rest = bytes.subarray(at);
    if (entries.length > 0) take(entries);
    return isEnd;
  };
}

function entryAt(bytes: Buffer, at: number, nameAt: number, nameEnd: number): DirectoryEntry {
  return {
    name: bytes.toString('utf8', nameAt, nameEnd),
    nameBytes: bytes.subarray(nameAt, nameEnd), // a view, as everywhere
    attributes: {
      mode: bytes.readUInt32BE(at),
      uid: bytes.readUInt32BE(at + 4),
      gid: bytes.readUInt32BE(at + 8),
      sizeBytes: bytes.readUInt32BE(at + 12) * 2 ** 32 + bytes.readUInt32BE(at + 16),
      atime: bytes.readUInt32BE(at + 20),
      mtime: bytes.readUInt32BE(at + 24),
    },
  };
}
