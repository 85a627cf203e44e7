/** `npm run generate` writes the generated pages; with `-- --check` it only says which are stale, and fails. */
import { fileURLToPath } from 'node:url';
import { stalePages, writePages } from './generators.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

if (process.argv.includes('--check')) {
  const stale = stalePages(root);
  for (const file of stale) process.stdout.write(`stale: ${file}\n`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const file of writePages(root)) process.stdout.write(`wrote ${file}\n`);
}
