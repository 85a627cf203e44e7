/** File names that are legal on Linux and that careless software lets a shell, a parser or a terminal act upon. */

/** Names by what they try. `touch` is a command that would leave a trace; every name is valid UTF-8 without a slash. */
export function hostileNames(touch: string): Record<string, string> {
  return {
    'single quote': `it's`,
    'double quote': `say "x"`,
    'both quotes and a backslash': `'"\\'"`,
    newline: `two\nlines`,
    'newline and a command': `a\n${touch}\nb`,
    'carriage return': `a\rb`,
    'command substitution': `$(${touch})`,
    'quoted command substitution': `"$(${touch})"`,
    'closing quote and substitution': `'$(${touch})'`,
    backticks: `\`${touch}\``,
    semicolon: `a; ${touch}`,
    pipe: `a | ${touch}`,
    ampersands: `a && ${touch} &`,
    'redirect and comment': `a > x # ${touch}`,
    variable: `$HOME \${PATH}`,
    'leading dash': '-rf',
    'long option': '--help',
    'double dash': '--',
    backslash: `back\\slash\\n\\`,
    glob: '* ? [a-z]',
    braces: '{a,b} ~root',
    'history and job control': '!! %1',
    'percent signs': '100%41%n%s',
    'query characters': 'a&b=c+d#e',
    'spaces around': '  x  ',
    'tab and escape': `a\tb\u001b[31m`,
    unicode: 'ünïcødé 漢字 🦜 e\u0301',
    'right-to-left override': 'a\u202eb',
    'longest name': 'n'.repeat(255),
  };
}
