/** A program of operators: its words read, its command run, and each failure told with its exit status. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { ConfigError } from '../shared/platform/config/config-error.ts';
import type { CliIo } from './authz.ts';

/** What every program exits with; 1 is for a program's own findings. */
export const exitStatus = { done: 0, usage: 2, refused: 3, config: 78 } as const;

type OptionsConfig = NonNullable<ParseArgsConfig['options']>;
type ValuesOf<Options extends OptionsConfig> = ReturnType<
  typeof parseArgs<{ options: Options; allowPositionals: true }>
>['values'];

/** Resolves to the exit status; undefined: those are not its words. Throws what kept it from its work. */
export type Command<Options extends OptionsConfig> = (
  words: readonly string[],
  values: ValuesOf<Options>,
) => number | undefined | Promise<number | undefined>;

export interface Program<Options extends OptionsConfig> {
  help: string;
  /** Beside `--help`. */
  options: Options;
  commands: Readonly<Record<string, Command<Options>>>;
}

/** Resolves to the exit status; prints every failure, and the help where the words are none of the program's. */
export async function runCommands<const Options extends OptionsConfig>(
  { help, options, commands }: Program<Options>,
  args: readonly string[],
  io: CliIo,
): Promise<number> {
  const parsed = parse(args, options);
  if (parsed === null || parsed.isHelp) {
    io.print(help);
    return parsed === null ? exitStatus.usage : exitStatus.done;
  }
  const [name = '', ...words] = parsed.words;
  try {
    const status = Object.hasOwn(commands, name) ? await commands[name]?.(words, parsed.values) : undefined;
    if (status !== undefined) return status;
  } catch (error) {
    io.complain(error instanceof Error ? error.message : String(error));
    return error instanceof ConfigError ? exitStatus.config : exitStatus.refused;
  }
  io.complain(help);
  return exitStatus.usage;
}

function parse<Options extends OptionsConfig>(args: readonly string[], options: Options) {
  try {
    const withHelp = { ...options, help: { type: 'boolean', short: 'h' } } as const;
    const { values, positionals } = parseArgs({ args: [...args], options: withHelp, allowPositionals: true });
    const { help, ...others } = values as Record<string, unknown>;
    return { words: positionals, isHelp: help === true, values: others as ValuesOf<Options> };
  } catch {
    return null; // the help says what is taken
  }
}
