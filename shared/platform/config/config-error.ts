/**
 * What is wrong with a configuration: every problem at once, each with the key and the place where it stands. No
 * message ever holds a value from the file, since the value may be a secret.
 */

/** One finding. */
export interface ConfigProblem {
  /** Dotted path of the key, list items in brackets: `clusters[0].ssh.port`. */
  key: string;
  /** `file:line`, `environment VARIABLE`, or the file alone where nothing stands. */
  place: string;
  message: string;
}

/** A configuration that cannot be used. `message` has one line for each problem, and the snippet when there is one. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: ConfigProblem[];
  /** YAML to paste and fill in, for settings that are missing; null when nothing is missing. */
  readonly snippet: string | null;

  constructor(problems: ConfigProblem[], snippet: string | null = null) {
    super(describeProblems(problems, snippet));
    this.problems = problems;
    this.snippet = snippet;
  }
}

/** In the place of a key. */
export const wholeFile = '(file)';

/** `key (place): message`, on one line; of what is wrong with a whole file no key. */
export function describeProblem({ key, place, message }: ConfigProblem): string {
  return key === wholeFile ? `${place}: ${message}` : `${key} (${place}): ${message}`;
}

/** A path as the key of a problem. */
export function keyOf(path: readonly PropertyKey[]): string {
  const key = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  return key === '' ? wholeFile : key.replace(/^\./, '');
}

function describeProblems(problems: ConfigProblem[], snippet: string | null): string {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  const lines = problems.map((problem) => `  - ${describeProblem(problem)}`);
  const paste =
    snippet === null
      ? []
      : [
          '',
          'Add this to the configuration file, or to the file that GOLDCREST_OVERLAY names, and fill it in:',
          '',
          snippet.trimEnd(),
        ];
  return [`The configuration has ${count}:`, ...lines, ...paste].join('\n');
}
