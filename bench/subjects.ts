/** What the bench looks at and submits. */

/** A directory of 100 files in a user's home, and the command that makes it. */
export function listedDirectory(home: string): { directory: string; prepare: string[] } {
  const directory = `${home}/goldcrest-bench-100`;
  const script = 'mkdir -p "$1" && cd "$1" && i=0 && while [ $i -lt 100 ]; do : > "file-$i"; i=$((i+1)); done';
  return { directory, prepare: ['sh', '-c', script, 'sh', directory] };
}

/** Held, so that what is measured is the submission and not a machine busy with running jobs. */
export const benchScript = '#!/bin/sh\n#SBATCH --hold\n#SBATCH --output=/dev/null\ntrue\n';

/** Files that can be removed, one by each request. */
const removableCount = 20_000;

/** Files to read, to list and to remove in a user's home, those that pass in `memory`, and the command that makes them anew. */
export function benchFiles(home: string, memory: string) {
  const folder = `${home}/goldcrest-bench-files`;
  const script = `rm -rf "$1" && mkdir -p "$1/many" "$1/made" "$1/gone" "$1/unpacked" && cd "$1" &&
head -c 1024 /etc/services >small && tar -czf small.tar.gz small &&
for size in 65536 1048576 5242880; do head -c $size /dev/urandom >"$2/sized-$size"; done &&
cd many && seq -f entry-%g 10000 | xargs touch && cd ../gone && seq -f %g 1 ${removableCount} | xargs touch`;
  let made = 0;
  let gone = 0;
  return {
    folder,
    prepare: ['sh', '-c', script, 'sh', folder, memory],
    /** A path that nothing has yet. */
    newPath: () => `${folder}/made/${++made}`,
    /** A file that has not been removed yet. Throws when all of them were. */
    removable: () => {
      if (++gone > removableCount) throw new Error('no file is left to be removed');
      return `${folder}/gone/${gone}`;
    },
    small: `${folder}/small`,
    many: `${folder}/many`,
    sized: (sizeBytes: number) => `${memory}/sized-${sizeBytes}`,
    inFolder: (name: string) => `${folder}/${name}`,
    inMemory: (name: string) => `${memory}/${name}`,
  };
}

/** An array of held jobs, one for each client of a crowd. */
export function crowdScript(clients: number): string {
  return `#!/bin/sh\n#SBATCH --hold --array=1-${clients}\n#SBATCH --output=/dev/null\ntrue\n`;
}
