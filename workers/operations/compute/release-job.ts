/** Takes back the hold of a job. */
import { actOnJob } from './act-on-job.ts';

/** JobNotFound, JobEnded, PermissionDenied, NotSupported, SchedulerFailed. Safe to run twice. */
export const handleReleaseJob = actOnJob('release');
