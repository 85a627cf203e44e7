/**
 * A file that is read as it grows, opened anew for each look. That it is still the same one is seen by its beginning and by the
 * bytes that came last: SFTP tells no inode, a new file may have the old one's, and one that is emptied keeps its own.
 */
import type { FileCallOptions, RemoteFiles } from '../../ssh/remote-files.ts';

export interface FollowedFile {
  /**
   * The next bytes, none where nothing has come; `anew` where another file is there, or it was written anew: the next look is at
   * its beginning. FileNotFound, and what else withOpenFile throws. One at a time.
   */
  look(bytesMax: number, options: FileCallOptions): Promise<Buffer | 'anew'>;
}

/** Of the beginning, and of what came last. */
const markBytes = 1_024;
const nothing = Buffer.alloc(0);

/** What was seen of the file before `position`: its first bytes and its last, and when it was changed. */
interface Seen {
  head: Buffer;
  tail: Buffer;
  mtime: number;
}

const unread: Seen = { head: nothing, tail: nothing, mtime: 0 };

/** `from`: bytes that are left out; of those it is not known what they were. */
export function createFollowedFile(path: string, files: Pick<RemoteFiles, 'withOpenFile'>, from: number): FollowedFile {
  let position = from;
  let seen: Seen | null = from === 0 ? unread : null;

  const beginAnew = (): 'anew' => {
    position = 0;
    seen = unread;
    return 'anew';
  };
  return {
    async look(bytesMax, options) {
      const found = await files.withOpenFile(
        path,
        async (file) => {
          if (file.sizeBytes < position) return 'anew';
          const isAsSeen = file.sizeBytes === position && file.mtime === seen?.mtime;
          if (isAsSeen || file.sizeBytes === 0) return null;
          const marked = Math.min(markBytes, position);
          const [head, last] = await Promise.all([
            marked === 0 ? nothing : file.read(0, marked),
            file.read(position - marked, marked + Math.min(bytesMax, file.sizeBytes - position)),
          ]);
          return { head, tail: last.subarray(0, marked), bytes: last.subarray(marked), mtime: file.mtime };
        },
        options,
      );
      if (found === 'anew') return beginAnew();
      if (found === null) return nothing;
      const { head, tail, bytes, mtime } = found;
      if (seen !== null && !(head.equals(seen.head) && tail.equals(seen.tail))) return beginAnew();
      seen = {
        head: head.length < markBytes ? Buffer.concat([head, bytes.subarray(0, markBytes - head.length)]) : head,
        tail: Buffer.concat([tail, bytes]).subarray(-markBytes),
        mtime,
      };
      position += bytes.length;
      return bytes;
    },
  };
}
