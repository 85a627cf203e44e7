/** What the bench looks at and submits. */

/** A directory of 100 files in a user's home, and the command that makes it. */
export function listedDirectory(home: string): { directory: string; prepare: string[] } {
  const directory = `${home}/goldcrest-bench-100`;
  const script = 'mkdir -p "$1" && cd "$1" && i=0 && while [ $i -lt 100 ]; do : > "file-$i"; i=$((i+1)); done';
  return { directory, prepare: ['sh', '-c', script, 'sh', directory] };
}

/** Held, so that what is measured is the submission and not a machine busy with running jobs. */
export const benchScript = '#!/bin/sh\n#SBATCH --hold\n#SBATCH --output=/dev/null\ntrue\n';
