/** Finds what somebody probably meant by a misspelled key. */

/** Words further away than this many edits are not suggested. */
const editsMax = 3;

/** The nearest of the known words, or null when none is near. */
export function suggest(word: string, known: readonly string[]): string | null {
  const near = known
    .map((candidate) => ({ candidate, edits: editDistance(word.toLowerCase(), candidate) }))
    .filter(({ candidate, edits }) => edits <= Math.min(editsMax, Math.floor(candidate.length / 2)))
    .sort((a, b) => a.edits - b.edits);
  return near[0]?.candidate ?? null;
}

/** `unknown key; did you mean …?`, or the list of known keys when nothing is near. */
export function unknownKey(word: string, known: readonly string[]): string {
  const meant = suggest(word, known);
  return meant === null ? `unknown key; known here: ${known.join(', ')}` : `unknown key; did you mean "${meant}"?`;
}

/** Levenshtein distance. */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1] ? 0 : 1;
      const above = previous[column] ?? 0;
      const before = current[column - 1] ?? 0;
      const diagonal = previous[column - 1] ?? 0;
      current.push(Math.min(above + 1, before + 1, diagonal + same));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}
