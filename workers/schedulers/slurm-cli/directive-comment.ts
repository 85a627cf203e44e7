/**
 * The comment that a script asks for in its `#SBATCH` lines. Our own `--comment` on the command line overrides it, so
 * it has to be known to be kept. Rules as sbatch 22.05.8 was seen to apply them: directives stand before the first
 * line that is neither blank nor a comment and begin in the first column; quotes group, an unquoted `#` ends the
 * line, long options may be abbreviated, the last one counts.
 */

/** `--com` is the shortest form that means `--comment` alone. */
const commentOption = /^--com(?:m(?:e(?:nt?)?)?)?(?:=(?<value>.*))?$/s;

/** The comment in the directives of a script or of its head; undefined when there is none. */
export function directiveComment(script: string): string | undefined {
  let comment: string | undefined;
  for (const line of script.split('\n')) {
    const trimmed = line.trim();
    if (trimmed !== '' && !trimmed.startsWith('#')) break;
    if (line.startsWith('#SBATCH')) comment = commentIn(words(line.slice('#SBATCH'.length))) ?? comment;
  }
  return comment;
}

function commentIn(options: readonly string[]): string | undefined {
  let comment: string | undefined;
  for (const [at, option] of options.entries()) {
    const match = commentOption.exec(option);
    if (match) comment = match.groups?.value ?? options[at + 1] ?? comment;
  }
  return comment;
}

/** Splits as sbatch does: white space, quotes, backslash, and `#` for the rest of the line. */
function words(line: string): string[] {
  const found: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at += 1) {
    const char = line.charAt(at);
    if (quote !== '') {
      if (char === quote) quote = '';
      else word = (word ?? '') + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (char === '\\') {
      at += 1;
      word = (word ?? '') + line.charAt(at);
    } else if (char === '#') {
      break;
    } else if (/\s/.test(char)) {
      if (word !== undefined) found.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (word !== undefined) found.push(word);
  return found;
}
