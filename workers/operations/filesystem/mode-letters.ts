/** The letters of `ls -l` for a mode, see ls(1) "-l" and inode(7). */

const typeLetters = new Map([
  [0o140000, 's'],
  [0o120000, 'l'],
  [0o100000, '-'],
  [0o060000, 'b'],
  [0o040000, 'd'],
  [0o020000, 'c'],
  [0o010000, 'p'],
]);

const typeMask = 0o170000;

/** First letter of `ls -l`: - d l p s b c, or ? for a type that Linux does not have. */
export function typeLetter(mode: number): string {
  return typeLetters.get(mode & typeMask) ?? '?';
}

export function isDirectory(mode: number): boolean {
  return (mode & typeMask) === 0o040000;
}

export function isRegularFile(mode: number): boolean {
  return (mode & typeMask) === 0o100000;
}

export function isSymbolicLink(mode: number): boolean {
  return (mode & typeMask) === 0o120000;
}

/** The nine permission letters with set-user-ID, set-group-ID and sticky folded in, e.g. `rwxr-sr-t`. */
export function permissionLetters(mode: number): string {
  const triad = (bits: number, special: boolean, letter: string): string => {
    const isExecutable = (bits & 1) !== 0;
    const last = special ? (isExecutable ? letter : letter.toUpperCase()) : isExecutable ? 'x' : '-';
    return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${last}`;
  };
  return (
    triad((mode >> 6) & 7, (mode & 0o4000) !== 0, 's') +
    triad((mode >> 3) & 7, (mode & 0o2000) !== 0, 's') +
    triad(mode & 7, (mode & 0o1000) !== 0, 't')
  );
}
