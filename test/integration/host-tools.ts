/** The tools that a host may have or lack. */
import { existsSync, mkdtempSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** What the movers' programs cannot do without. */
export const needed =
  'sh awk base64 cat chmod curl dd df grep head kill md5sum mkfifo mv rm sed sha256sum sleep stat sync tail tee';

export const hosts = [
  ['Python and openssl', `${needed} python3 openssl`],
  ['openssl and no Python', `${needed} openssl`],
  ['neither', needed],
] as const;

/** A path on which only these are. */
export function pathWith(folder: string, tools: string): string {
  const path = mkdtempSync(join(folder, 'path-'));
  for (const tool of tools.split(' ')) {
    const found = ['/usr/bin', '/bin'].map((place) => join(place, tool)).find(existsSync);
    if (found !== undefined) symlinkSync(found, join(path, tool));
  }
  return path;
}
