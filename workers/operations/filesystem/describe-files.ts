/** Turns what SFTP tells of files into lines of a listing, names in place of numbers. */
import type { FileEntry } from '../../../shared/operations/filesystem/file-entry.ts';
import type { FileAttributes, RemoteFiles } from '../../ssh/remote-files.ts';
import type { OperationContext } from '../operation-context.ts';
import type { ListingContext } from './listing-context.ts';
import { isSymbolicLink, permissionLetters, typeLetter } from './mode-letters.ts';

/** A name that was found, before numbers became names. */
export interface Found {
  name: string;
  attributes: FileAttributes;
  linkTarget: string | null;
}

/** The entries of a listing, in the order given. Throws what looking up names and the time zone throws. */
export async function describeFiles(
  found: readonly Found[],
  numericUid: boolean,
  listing: ListingContext,
): Promise<FileEntry[]> {
  const localTime = await listing.localTime();
  const uids = found.map(({ attributes }) => attributes.uid);
  const gids = found.map(({ attributes }) => attributes.gid);
  const [users, groups] = numericUid
    ? [uids.map(String), gids.map(String)]
    : await Promise.all([listing.users(uids), listing.groups(gids)]);
  return found.map(({ name, attributes, linkTarget }, at) => ({
    name,
    type: typeLetter(attributes.mode),
    linkTarget,
    user: users[at] ?? String(attributes.uid),
    group: groups[at] ?? String(attributes.gid),
    permissions: permissionLetters(attributes.mode),
    lastModified: localTime(attributes.mtime),
    size: String(attributes.sizeBytes),
  }));
}

/** One file as `ls -d` shows it: a link as itself, under the path given. Throws what RemoteFiles throws. */
export async function describeFile(
  path: string,
  { files, listing, signal }: Pick<OperationContext, 'files' | 'listing' | 'signal'>,
): Promise<FileEntry> {
  const attributes = await files.lstat(path, { signal });
  const linkTarget = await linkTargetOf(files, path, attributes, signal);
  const [entry] = await describeFiles([{ name: path, attributes, linkTarget }], false, listing);
  return entry as FileEntry;
}

/** What a link says it points to; null for anything that is no link. */
export async function linkTargetOf(
  files: RemoteFiles,
  path: string,
  attributes: FileAttributes,
  signal: AbortSignal,
): Promise<string | null> {
  return isSymbolicLink(attributes.mode) ? (await files.readlink(path, { signal })).toString() : null;
}
