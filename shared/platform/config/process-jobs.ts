/** How much of a host without a batch system (`process`) its jobs may have. */

export interface ProcessJobsConfig {
  /** CPUs for the jobs of all users at once; a job waits until as many as it asks for are free. Null: no bound, no waiting. */
  slots: number | null;
  /** On the host, for the locks by which its users share the slots; absolute. */
  slotsDirectory: string;
  /** Longest run of a job, and that of one which names none. Null: no bound. */
  timeLimitSecondsMax: number | null;
  /** Jobs of one user that wait or run. */
  openPerUserMax: number;
  /** Ended jobs that are kept for each user; up to 100 more between two sweeps. */
  keptPerUserMax: number;
  /** Ended jobs are kept so long; swept with the first submission after it, once an hour. */
  keepMs: number;
}

export const defaultProcessJobs: ProcessJobsConfig = {
  slots: null,
  slotsDirectory: '/tmp/goldcrest-slots',
  timeLimitSecondsMax: null,
  openPerUserMax: 1_000,
  keptPerUserMax: 1_000,
  keepMs: 30 * 86_400_000,
};
