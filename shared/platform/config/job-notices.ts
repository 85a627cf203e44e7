/** How jobs are watched, and their output followed. */

/** Watches of batch jobs: how many, how often they are looked at, for how long. */
export interface WatchesConfig {
  bounds: { perUserMax: number; totalMax: number };
  /** Between two looks at the jobs of a system. */
  intervalMsMin: number;
  intervalMsMax: number;
  /** Of one system. */
  commandsPerMinuteMax: number;
  /** For so long the scheduler must say that there is no such job. */
  lostAfterMs: number;
  /** A watch that is over is kept for so long. */
  keepMs: number;
  /** A job is watched for so long; the consent ends then. */
  watchMsMax: number;
}

/** Output of jobs that is followed. */
export interface LogsConfig {
  /** In one API process. */
  streamsPerUserMax: number;
  followMsMax: number;
  /** Between two looks at the file. */
  intervalMs: number;
  /** Of one stream. */
  bytesMax: number;
}
