/** Keeps a waiting job from starting. */
import { actOnJob } from './act-on-job.ts';

/** JobNotFound, JobEnded, JobNotPending, PermissionDenied, NotSupported, SchedulerFailed. Safe to run twice. */
export const handleHoldJob = actOnJob('hold');
