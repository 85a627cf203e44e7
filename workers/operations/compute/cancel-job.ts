/** Cancels a job by its id; one that has ended is left as it is. */
import { actOnJob } from './act-on-job.ts';

/** JobNotFound, PermissionDenied, SchedulerFailed. Safe to run twice. */
export const handleCancelJob = actOnJob('cancel');
