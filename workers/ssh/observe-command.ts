/** Who is told of every command that is run on a cluster. */
import type { Word } from '../../shared/commands/command-line.ts';

/** A command about to be sent. */
export interface ObservedCommand {
  system: string;
  /** Cluster user that it runs as. */
  username: string;
  argv: readonly Word[];
  /** On whose behalf, as `RunOptions.origin` says; undefined: the broker's own. */
  origin: unknown;
  /** It goes on for long, for who asks it. */
  isLasting?: true;
}

/** How it ended; without an exit code `error` says why there is none, or its answer was enough and it goes on by itself. */
export interface CommandEnd {
  exitCode: number | null;
  isEarly?: true;
  /** It ran in a shell that was started ahead, and not in a session of its own. */
  isInLoop?: true;
  error?: string;
}

/** Called before the command is sent; where it throws, the command is not. What it returns is told the end, once. */
export type ObserveCommand = (command: ObservedCommand) => (end: CommandEnd) => void;
