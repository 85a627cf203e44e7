/**
 * The `#PBS -v` of a script. An option on qsub's command line takes the place of the script's own, and the broker needs
 * one for its key, so what the script asks for goes in front of it. Reads as qsub's get_script() and make_argv() do.
 */

const prefix = '#PBS';

/** The argument of the last `-v` directive before the first command, with quotes and backslashes taken off as qsub does; undefined for none. */
export function directiveVariables(script: string): string | undefined {
  let found: string | undefined;
  for (const line of directiveLines(script)) found = variablesIn(argumentsIn(line)) ?? found;
  return found;
}

/** What follows the prefix, with continued lines joined. */
function directiveLines(script: string): string[] {
  const lines: string[] = [];
  const rest = script.split('\n');
  for (let line = rest.shift(); line !== undefined; line = rest.shift()) {
    const text = line.trimStart();
    if (!text.startsWith(prefix)) {
      if (text !== '' && !text.startsWith('#') && !text.startsWith(':')) break;
      continue;
    }
    let directive = text.slice(prefix.length);
    while (directive.endsWith('\\') && rest.length > 0) directive = directive.slice(0, -1) + rest.shift();
    lines.push(directive);
  }
  return lines;
}

function argumentsIn(line: string): string[] {
  const word = /(?:'[^']*'|"[^"]*"|\\[\s\S]|[^\s'"\\])+/g;
  return (line.match(word) ?? []).map((text) =>
    text.replace(
      /'([^']*)'|"([^"]*)"|\\([\s\S])/g,
      (_whole, single?: string, double?: string, escaped?: string) => single ?? double ?? escaped ?? '',
    ),
  );
}

/** Options of qsub that take no argument; any other letter takes the rest of the word, or the next one. */
const flags = 'fhIVXz';

function variablesIn(words: string[]): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (!word.startsWith('-')) continue;
    const letterAt = [...word].findIndex((letter, index) => index > 0 && !flags.includes(letter));
    if (letterAt === -1) continue;
    const attached = word.slice(letterAt + 1);
    if (attached === '') at += 1;
    if (word[letterAt] === 'v') found = attached === '' ? words[at] : attached;
  }
  return found;
}
