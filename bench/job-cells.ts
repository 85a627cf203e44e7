/** The state of jobs: one client that is alone, and 1,000 that wait for 1,000 different jobs. */
import type { Lab } from '../lab/lab.ts';
import type { Face } from './face.ts';
import type { Floor } from './floor.ts';
import { crowdScript } from './subjects.ts';

/** Clients in the crowd, each with a job of its own. */
export const crowdClients = 1_000;

/** The default of `job_lookup_window`. */
const windowMs = 1_000;

export interface JobCells {
  /** One `squeue` over a warm connection. */
  floor(): Promise<void>;
  alone(caller: number): Promise<void>;
  crowd(caller: number): Promise<void>;
  /** Requests for the state of jobs that the controller has served so far, by its own count. */
  queries(): Promise<number>;
  remove(): Promise<void>;
}

export async function prepareJobCells(lab: Lab, face: Face, floor: Floor, home: string): Promise<JobCells> {
  const submitted = await floor.shell.run(['sbatch', '--parsable', '--chdir', home], {
    stdin: crowdScript(crowdClients),
  });
  const jobId = submitted.stdout.toString().trim();
  if (submitted.exitCode !== 0) throw new Error(submitted.stderr.toString());
  const requests = Array.from({ length: crowdClients }, (_, index) => face.prepareJob(`${jobId}_${index + 1}`));
  const [first] = requests;
  return {
    async floor() {
      await floor.shell.run(['squeue', '--noheader', `--jobs=${jobId}`]);
    },
    alone: async (caller) => first?.(caller),
    crowd: async (caller) => requests[caller]?.(caller),
    async queries() {
      const output = await lab.slurm.admin('sdiag', []);
      const counts = output.matchAll(/^\s*REQUEST_JOB_(?:USER_)?INFO(?:_SINGLE)?\s+\(\s*\d+\)\s+count:(\d+)/gm);
      return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
    },
    async remove() {
      await floor.shell.run(['scancel', jobId]);
    },
  };
}

/** What the crowd cost the scheduler, against one query in each window and one for the client that came first. */
export function judgeCrowd(seconds: number, queries: number): { text: string; isMet: boolean } {
  const queriesMax = Math.ceil((seconds * 1_000) / windowMs) + 1;
  const text = `${crowdClients} clients that poll ${crowdClients} jobs for ${seconds.toFixed(1)} s: ${queries} queries of the scheduler (at most ${queriesMax})`;
  return { text, isMet: queries <= queriesMax };
}
