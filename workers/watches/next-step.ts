/** What a look at a job means for its watch: pure, so that it can be told from the outside what would be written. */
import type { Job } from '../../shared/operations/compute/job.ts';
import type { WatchStep } from '../../shared/platform/watch-store.ts';
import type { JobDiagnosis } from '../../shared/watches/diagnosis.ts';
import { type JobStanding, type Look, looksKeptMax, type Watch } from '../../shared/watches/watch.ts';
import { hasEnded, isStuck, standingOf } from './standing.ts';

/** The id of a job may be another job's by now, years later: that one was submitted after the watch was set. */
const reusedAfterMs = 3_600_000;

/** The job was seen. Null: nothing new. */
export function stepOfSighting(watch: Watch, jobs: readonly Job[], now: number): WatchStep | null {
  const standing = standingOf(jobs);
  if (standing === undefined || isAnother(watch, standing)) return null;
  const known = watch.standing;
  const isNews = known === null || known.state !== standing.state || (isStuck(standing) && !isStuck(known));
  const isBack = watch.phase === 'unknown';
  if (!isNews && !isBack) return isSame(known, standing) ? null : { events: [], changes: { standing } };
  const { state, stateReason, exitCode, signal } = standing;
  const events: WatchStep['events'][number][] = [];
  if (isNews) {
    events.push({ type: 'job.state_changed', facts: { state, previousState: known?.state ?? null, stateReason } });
  }
  const isOver = hasEnded(state);
  if (isOver && (known === null || !hasEnded(known.state))) {
    events.push({ type: 'job.ended', facts: { state, stateReason, exitCode, signal } });
  }
  const phase = isOver ? 'ended' : 'watching';
  const missing = isBack ? { missingSince: 0, looks: [] } : {};
  return { events, changes: { phase, standing, ...(isNews ? { changedAt: now } : {}), ...missing } };
}

function isAnother(watch: Watch, { submittedAt }: JobStanding): boolean {
  if (submittedAt === null) return false;
  const known = watch.standing?.submittedAt ?? null;
  // A job that was put back into the queue has a later time than before.
  return known === null ? submittedAt * 1_000 > watch.createdAt + reusedAfterMs : submittedAt < known - 1;
}

function isSame(a: JobStanding | null, b: JobStanding): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The job is not where it should be, which is no answer yet. */
export function stepOfAbsence(now: number): WatchStep {
  return { events: [], changes: { phase: 'unknown', missingSince: now, looks: [] } };
}

/** Of several looks in a row with the same answer the first and the last are kept, so that no other one drops out between. */
function withLook(looks: readonly Look[], look: Look): Look[] {
  const isLike = (other: Look | undefined) => other?.answer === look.answer && other.isProof === look.isProof;
  const earlier = isLike(looks.at(-1)) && isLike(looks.at(-2)) ? looks.slice(0, -1) : looks;
  return [...earlier, look].slice(-looksKeptMax);
}

/** What the looks for a job that is missing say: lost only when nothing but proofs came for as long as it takes. */
export function stepOfLook(watch: Watch, look: Look, lostAfterMs: number, keepMs: number): WatchStep {
  const looks = withLook(watch.looks, look);
  const sinceFailure = looks.slice(looks.findLastIndex(({ isProof }) => !isProof) + 1);
  const [first] = sinceFailure;
  const isLost = first !== undefined && sinceFailure.length > 1 && look.at - first.at >= lostAfterMs;
  if (!isLost) return { events: [], changes: { looks } };
  const told = looks.map(({ at, ...rest }) => ({ at: new Date(at).toISOString(), ...rest }));
  const facts = { previousState: watch.standing?.state ?? null, looks: told };
  return {
    events: [{ type: 'job.lost', facts }],
    changes: { phase: 'lost', looks, changedAt: look.at },
    closesForMs: keepMs,
  };
}

export function stepOfDiagnosis(diagnosis: JobDiagnosis, keepMs: number): WatchStep {
  const { state, stateReason, exitCode, signal } = diagnosis;
  return {
    events: [{ type: 'job.diagnosed', facts: { state, stateReason, exitCode, signal, diagnosis } }],
    changes: { phase: 'diagnosed', diagnosis },
    closesForMs: keepMs,
  };
}

/** The consent has ended, or what it is about is not granted any more. */
export function stepOfExpiry(watch: Watch, why: string, keepMs: number): WatchStep {
  const state = watch.standing?.state;
  return {
    events: [{ type: 'job.watch_expired', facts: { why, ...(state === undefined ? {} : { state }) } }],
    changes: { phase: 'expired' },
    closesForMs: keepMs,
  };
}
