/** The words of a script's `#SBATCH` lines, by the rules that sbatch 22.05.8 was seen to apply. */

export interface DirectiveLine {
  /** Of the script; the first is 1. */
  line: number;
  words: string[];
  /** A quote was opened and not closed, which sbatch refuses. */
  isUnmatched: boolean;
}

/**
 * The directives stand before the first line that is neither blank nor a comment, and begin in the first column. Quotes
 * group, a backslash takes the next character as it is, and an unquoted `#` ends the line.
 */
export function directiveWords(script: string): DirectiveLine[] {
  const found: DirectiveLine[] = [];
  for (const [index, line] of script.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed !== '' && !trimmed.startsWith('#')) break;
    if (line.startsWith('#SBATCH')) found.push({ line: index + 1, ...splitWords(line.slice('#SBATCH'.length)) });
  }
  return found;
}

function splitWords(line: string): { words: string[]; isUnmatched: boolean } {
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
  return { words: found, isUnmatched: quote !== '' };
}
