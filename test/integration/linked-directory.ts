/** A directory in which links lead from file systems to places outside of them. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';

/** Two file systems, `plain` and `linked`, which is a link to `deep/real`; `outside` is none. */
export function makeLinks(at: (name: string) => string): void {
  for (const name of ['plain', 'plain/dir', 'deep', 'deep/real', 'outside', 'outside/closed']) mkdirSync(at(name));
  for (const name of ['plain/file', 'deep/real/file', 'outside/secret']) writeFileSync(at(name), name, { mode: 0o640 });
  const links = {
    linked: 'deep/real',
    'plain/out': '../outside',
    'plain/absolute': at('outside'),
    'plain/second': 'dir/first',
    'plain/dir/first': '../out',
    'plain/secret': '../outside/secret',
    'plain/closed': '../outside/closed/secret',
    'plain/dangling': '../outside/none',
    'plain/dangling-inside': 'none',
    'plain/deep-none': '../outside/none/none',
    'plain/inside': 'file',
    'plain/linked': '../linked',
    'plain/real': '../deep/real',
    'plain/up': '..',
    'plain/circle': 'circle',
  };
  for (const [name, target] of Object.entries(links)) symlinkSync(target, at(name));
}
