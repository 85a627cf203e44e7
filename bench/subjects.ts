/** What the bench looks at and submits. */

/** A directory of 100 files in a user's home, and the command that makes it. */
export function listedDirectory(home: string): { directory: string; prepare: string[] } {
  const directory = `${home}/goldcrest-bench-100`;
  const script = 'mkdir -p "$1" && cd "$1" && i=0 && while [ $i -lt 100 ]; do : > "file-$i"; i=$((i+1)); done';
  return { directory, prepare: ['sh', '-c', script, 'sh', directory] };
}

/** Held, so that what is measured is the submission and not a machine busy with running jobs. */
export const benchScript = '#!/bin/sh\n#SBATCH --hold\n#SBATCH --output=/dev/null\ntrue\n';

/** Files to read and to list in a user's home, a folder to write into, and the command that makes them. */
export function benchFiles(home: string) {
  const folder = `${home}/goldcrest-bench-files`;
  const script = `mkdir -p "$1/many" && cd "$1" && head -c 1024 /etc/services >small &&
for size in 65536 1048576 5242880; do head -c $size /dev/urandom >"sized-$size"; done &&
cd many && seq -f entry-%g 10000 | xargs touch`;
  return {
    folder,
    prepare: ['sh', '-c', script, 'sh', folder],
    small: `${folder}/small`,
    many: `${folder}/many`,
    sized: (sizeBytes: number) => `${folder}/sized-${sizeBytes}`,
    inFolder: (name: string) => `${folder}/${name}`,
  };
}

/** An array of held jobs, one for each client of a crowd. */
export function crowdScript(clients: number): string {
  return `#!/bin/sh\n#SBATCH --hold --array=1-${clients}\n#SBATCH --output=/dev/null\ntrue\n`;
}
