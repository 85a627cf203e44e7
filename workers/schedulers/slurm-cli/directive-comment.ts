/**
 * The comment that a script asks for in its `#SBATCH` lines. Our own `--comment` on the command line overrides it, so
 * it has to be known to be kept. Rules as sbatch 22.05.8 was seen to apply them: directives stand before the first
 * line that is neither blank nor a comment and begin in the first column; quotes group, an unquoted `#` ends the
 * line, long options may be abbreviated, the last one counts.
 */
import { directiveWords } from './directive-words.ts';

/** `--com` is the shortest form that means `--comment` alone. */
const commentOption = /^--com(?:m(?:e(?:nt?)?)?)?(?:=(?<value>.*))?$/s;

/** The comment in the directives of a script or of its head; undefined when there is none. */
export function directiveComment(script: string): string | undefined {
  // One list, as sbatch has it: the value may stand on the next line.
  return commentIn(directiveWords(script).flatMap(({ words }) => words));
}

function commentIn(options: readonly string[]): string | undefined {
  let comment: string | undefined;
  for (const [at, option] of options.entries()) {
    const match = commentOption.exec(option);
    if (match) comment = match.groups?.value ?? options[at + 1] ?? comment;
  }
  return comment;
}
