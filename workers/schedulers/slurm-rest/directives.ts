/**
 * The `#SBATCH` lines of a script as options. slurmrestd does not read them, so they are turned into fields of the
 * request; they are read here as getopt_long(3) reads them for sbatch, over the words of all lines together.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { type DirectiveLine, directiveWords } from '../slurm-cli/directive-words.ts';
import { optionLettered, optionsNamed, type SbatchOption } from './sbatch-options.ts';

/** One option, by its long name. */
export interface Directive {
  name: string;
  /** Null for an option without a value. */
  value: string | null;
  line: number;
}

/** What a job asks for and REST cannot be told; sbatch itself may well be able to take it. Line 0 is the request. */
export class NotExpressible extends BrokerError {
  constructor(line: number, what: string) {
    if (line === 0) super('NotSupported', `The job: ${what}`);
    else super('InvalidJob', `Line ${line} of the batch script: ${what}`);
  }
}

interface Word {
  text: string;
  line: number;
}

/** The options in the order of the script. Throws NotExpressible for a line that sbatch would refuse or that is not known here. */
export function readDirectives(script: string): Directive[] {
  const words = directiveWords(script).flatMap(wordsOf);
  const found: Directive[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] as Word;
    const { directives, takesNext } = readWord(word, words[at + 1]);
    found.push(...directives);
    if (takesNext) at += 1;
  }
  return found;
}

function wordsOf({ line, words, isUnmatched }: DirectiveLine): Word[] {
  if (isUnmatched) throw new NotExpressible(line, 'a quote is opened and not closed.');
  return words.map((text) => ({ text, line }));
}

interface Reading {
  directives: Directive[];
  /** Whether the value was the next word. */
  takesNext: boolean;
}

function readWord(word: Word, next: Word | undefined): Reading {
  if (word.text.startsWith('--') && word.text.length > 2) return readLong(word, next);
  if (word.text.startsWith('-') && word.text !== '--' && word.text.length > 1) return readLetters(word, next);
  const hint = /^(?:het|pack)job$/.test(word.text)
    ? 'a heterogeneous job cannot be submitted by REST'
    : 'not an option';
  throw new NotExpressible(word.line, `"${word.text}": ${hint}.`);
}

function readLong({ text, line }: Word, next: Word | undefined): Reading {
  const [, written = '', equals, given = ''] = /^--([^=]*)(=?)(.*)$/s.exec(text) ?? [];
  const [option, ...others] = optionsNamed(written);
  if (!option) throw new NotExpressible(line, `the option --${written} is not known.`);
  if (others.length > 0) {
    const names = [option, ...others].map(({ name }) => `--${name}`);
    throw new NotExpressible(line, `the option --${written} is ambiguous: ${names.join(', ')}.`);
  }
  return read(option, { written: `--${written}`, line, given: equals === '=' ? given : null }, next);
}

/** `-n4`, `-n 4`, `-Hn4`: letters without a value may stand together, the last one may have one. */
function readLetters({ text, line }: Word, next: Word | undefined): Reading {
  const directives: Directive[] = [];
  for (let at = 1; at < text.length; at += 1) {
    const letter = text.charAt(at);
    const option = optionLettered(letter);
    if (!option) throw new NotExpressible(line, `the option -${letter} is not known.`);
    if (option.value === 'none') {
      directives.push({ name: option.name, value: null, line });
      continue;
    }
    const rest = text.slice(at + 1);
    const last = read(option, { written: `-${letter}`, line, given: rest === '' ? null : rest }, next);
    return { directives: [...directives, ...last.directives], takesNext: last.takesNext };
  }
  return { directives, takesNext: false };
}

function read(
  { name, value }: SbatchOption,
  { written, line, given }: { written: string; line: number; given: string | null },
  next: Word | undefined,
): Reading {
  if (value === 'none' && given !== null) throw new NotExpressible(line, `the option ${written} takes no value.`);
  if (value !== 'required' || given !== null) {
    return { directives: [{ name, value: given, line }], takesNext: false };
  }
  if (!next) throw new NotExpressible(line, `the option ${written} needs a value.`);
  return { directives: [{ name, value: next.text, line }], takesNext: true };
}
