/**
 * The end of the demo. Everything that it started lies in the lab, which goes when this process exits; the account of
 * its user goes too where the demo made it. Whatever the end is, nothing is to be left behind.
 */
import { existsSync } from 'node:fs';
import { findAccount } from '../accounts.ts';
import { signalGraceMs } from '../lab.ts';
import { processesOfLab } from '../lab-folder.ts';
import { removeUser } from '../users.ts';
import type { Screen } from './screen.ts';

/** From the moment it is made, SIGINT, SIGTERM and SIGHUP end the process in order. */
export interface Ending {
  /** From now on a signal is the expected end (exit code 0); before, the demo is interrupted (129, 130, 143). */
  expectSignal(labFolder: string): void;
  /** Ends the process with this code, and with it everything else. Does nothing when a signal is doing it already. */
  end(exitCode: number): void;
}

export interface EndingOptions {
  /** The account that the lab will make if it does not exist. */
  username: string;
  screen: Screen;
}

const interrupted = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** To be called before the lab is started. */
export function prepareEnding({ username, screen }: EndingOptions): Ending {
  const isOwnAccount = process.getuid?.() === 0 && findAccount(username) === undefined;
  let labFolder: string | undefined;
  let isEnding = false;

  const end = (exitCode: number, isStopped: boolean) => {
    // Registered now, it runs after the lab's own, which ends the account's processes.
    process.once('exit', () => {
      if (isOwnAccount && findAccount(username) !== undefined) removeUser(username);
      if (isStopped) screen.text(farewell(labFolder));
    });
    process.exit(exitCode);
  };
  for (const [signal, exitCode] of Object.entries(interrupted)) {
    process.on(signal, () => {
      // A second Ctrl-C must not cut short what the first one began.
      if (isEnding) return;
      isEnding = true;
      screen.heading('Stopping');
      setTimeout(() => end(labFolder === undefined ? exitCode : 0, true), signalGraceMs);
    });
  }
  // A reader that has gone (`npm run demo | head`, a closed terminal) ends the demo too.
  process.stdout.on('error', () => end(1, false));
  return {
    expectSignal(folder) {
      labFolder = folder;
    },
    end: (exitCode) => {
      if (!isEnding) end(exitCode, false);
    },
  };
}

function farewell(labFolder: string | undefined): string {
  if (labFolder === undefined) return 'Stopped.';
  if (!existsSync(labFolder) && processesOfLab(labFolder).length === 0) {
    return 'Stopped: every process has ended and the temporary folder is gone.';
  }
  return `Not everything could be stopped: look at ${labFolder}. The next demo cleans up what is left.`;
}
