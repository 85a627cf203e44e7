/** What is below a directory in which others work at the same time. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Names of all that is below a directory, relative to it, directories before what is in them; what goes meanwhile is left out. */
export function namesBelow(directory: string): string[] {
  return entriesOf(directory).flatMap((entry) => {
    if (!entry.isDirectory()) return [entry.name];
    return [entry.name, ...namesBelow(join(directory, entry.name)).map((name) => join(entry.name, name))];
  });
}

function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // gone meanwhile
    throw error;
  }
}
