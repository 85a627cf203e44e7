import { jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import type { BrokerError } from '../../shared/errors/broker-error.ts';
import { restAccountedJob } from '../../workers/schedulers/slurm-rest/accounted-job.ts';
import { createDialectChoice } from '../../workers/schedulers/slurm-rest/api-version.ts';
import { dialects } from '../../workers/schedulers/slurm-rest/dialects.ts';
import { restQueuedJob } from '../../workers/schedulers/slurm-rest/queue-job.ts';
import type { Rest, RestAnswer, RestCall } from '../../workers/schedulers/slurm-rest/rest-client.ts';
import { findByKey, readSubmission } from '../../workers/schedulers/slurm-rest/submit.ts';
import { createMint } from '../../workers/schedulers/slurm-rest/user-token.ts';

const { signal } = new AbortController();

function refusal(act: () => unknown): BrokerError {
  try {
    act();
  } catch (error) {
    return error as BrokerError;
  }
  return expect.unreachable('should have been refused');
}

/** slurmrestd 22.05.8, v0.0.38, `GET /slurm/v0.0.38/job/2`, without the fields that are not read. */
const queued = {
  ...{ account: 'proj01', array_job_id: 0, array_task_id: null, array_max_tasks: 0, array_task_string: '' },
  ...{ cluster: 'lab', comment: 'mine goldcrest:1', end_time: 1_795_381_649, exit_code: 0, group_name: 'gcalice' },
  ...{ het_job_id: 0, het_job_offset: 0, job_id: 2, job_state: 'RUNNING', name: 't1', nodes: 'n1', node_count: 1 },
  ...{
    cpus: 2,
    partition: 'debug',
    pre_sus_time: 0,
    priority: 4_294_901_758,
    state_reason: 'None',
    start_time: 1_795_379_849,
  },
  ...{ submit_time: 1_795_379_848, suspend_time: 0, time_limit: 30, user_id: 1_005, user_name: 'gcalice' },
  ...{ tres_req_str: 'cpu=2,mem=8000M,node=1', tres_alloc_str: 'cpu=2,node=1,gres/gpu=3' },
  current_working_directory: '/tmp',
};

const now = 1_795_379_900;
const readQueued = (more: object) => restQueuedJob(now).parse({ ...queued, ...more });

describe('a job of the queue', () => {
  it('is shown as squeue shows it', () => {
    expect(readQueued({})).toEqual({
      job: {
        ...{
          jobId: '2',
          name: 't1',
          account: 'proj01',
          allocationNodes: 1,
          cpus: 2,
          gpus: 3,
          cluster: 'lab',
          tasks: null,
        },
        ...{ group: 'gcalice', nodes: 'n1', partition: 'debug', killRequestUser: null, user: 'gcalice' },
        ...{ workingDirectory: '/tmp', priority: 4_294_901_758 },
        status: { state: 'RUNNING', stateReason: null, exitCode: null, interruptSignal: null },
        time: { submit: 1_795_379_848, elapsed: 51, start: 1_795_379_849, end: null, suspended: null, limit: 1_800 },
      },
      submittedAt: 1_795_379_848,
      uid: '1005',
      comment: 'mine goldcrest:1',
    });
  });

  it.each([
    [{ array_job_id: 7, array_task_id: 3 }, '7_3'],
    [{ array_job_id: 7, array_task_string: '1-3', array_max_tasks: 2 }, '7_[1-3%2]'],
    [{ array_job_id: 7, array_task_string: '1,3-4%1', array_max_tasks: 1 }, '7_[1,3-4%1]'],
    [{ het_job_id: 9, het_job_offset: 1 }, '9+1'],
    [{ array_job_id: { set: true, infinite: false, number: 7 }, array_task_id: { set: true, number: 0 } }, '7_0'],
    [{ array_job_id: { set: true, number: 0 }, array_task_id: { set: false, number: 0 } }, '2'],
  ])('%j has the id %s', (more, jobId) => {
    expect(readQueued(more).job.jobId).toBe(jobId);
  });

  it.each([
    ['COMPLETING', 'RUNNING'],
    [['COMPLETED', 'COMPLETING'], 'RUNNING'],
    [['PENDING'], 'PENDING'],
    [['RUNNING', 'CONFIGURING'], 'PENDING'],
    [['CANCELLED'], 'CANCELLED'],
  ])('in the state %j is %s', (jobState, state) => {
    expect(readQueued({ job_state: jobState }).job.status.state).toBe(state);
  });

  it.each([
    [1_792, { exitCode: 7, interruptSignal: 0 }],
    [9, { exitCode: 0, interruptSignal: 9 }],
    [
      { status: ['ERROR'], return_code: { set: true, number: 7 }, signal: { id: { set: false, number: 0 } } },
      { exitCode: 7, interruptSignal: 0 },
    ],
    [
      { status: 'SIGNALED', return_code: null, signal: { signal_id: 9, name: 'KILL' } },
      { exitCode: 0, interruptSignal: 9 },
    ],
    [
      { status: ['SIGNALED'], return_code: { set: false, number: 0 }, signal: { id: { set: true, number: 9 } } },
      { exitCode: 0, interruptSignal: 9 },
    ],
  ])('that failed with %j says so', (exitCode, expected) => {
    expect(readQueued({ job_state: 'FAILED', exit_code: exitCode }).job.status).toMatchObject(expected);
  });

  it.each([
    [null, null],
    [30, 1_800],
    [0xffffffff, null],
    [{ set: true, infinite: false, number: 30 }, 1_800],
    [{ set: false, infinite: true, number: 0 }, null],
  ])('with the limit %j is limited to %j s', (timeLimit, limit) => {
    expect(readQueued({ time_limit: timeLimit }).job.time.limit).toBe(limit);
  });

  it('that is suspended has not run since', () => {
    const suspended = { job_state: 'SUSPENDED', pre_sus_time: 20, suspend_time: 1_795_379_869 };
    expect(readQueued(suspended).job.time.elapsed).toBe(20);
    expect(readQueued({ ...suspended, job_state: 'RUNNING' }).job.time.elapsed).toBe(20 + now - 1_795_379_869);
  });
});

/** slurmrestd 22.05.8, v0.0.38, `GET /slurmdb/v0.0.38/job/127`, without the fields that are not read. */
const accounted = {
  ...{ account: 'proj01', allocation_nodes: 1, cluster: 'lab', group: 'gcalice', job_id: 127, name: 'x9', nodes: 'n1' },
  ...{
    partition: 'debug',
    priority: 4_294_901_658,
    kill_request_user: null,
    user: 'gcalice',
    working_directory: '/tmp',
  },
  array: { job_id: 0, limits: { max: { running: { tasks: 0 } } }, task: null, task_id: null },
  het: { job_id: 0, job_offset: null },
  comment: { administrator: null, job: 'goldcrest:9', system: null },
  exit_code: { status: 'SIGNALED', return_code: null, signal: { signal_id: 9, name: 'Killed' } },
  state: { current: 'FAILED', reason: 'None' },
  time: {
    ...{ elapsed: 2, eligible: 1_795_379_848, end: 1_795_379_851, start: 1_795_379_849, submission: 1_795_379_848 },
    ...{ suspended: 0, limit: 30 },
  },
  tres: {
    allocated: [
      { type: 'cpu', name: null, id: 1, count: 1 },
      { type: 'gres', name: 'gpu', id: 1_001, count: 2 },
    ],
  },
  steps: [
    {
      exit_code: { status: 'SIGNALED', return_code: null, signal: { signal_id: 9, name: 'Killed' } },
      state: 'FAILED',
      step: { job_id: 127, het: { component: null }, id: 'batch', name: 'batch' },
      time: { elapsed: 2, end: 1_795_379_851, start: 1_795_379_849, suspended: 0 },
    },
  ],
};

describe('a job of the accounting', () => {
  it('is shown with its steps, as sacct shows it', () => {
    expect(restAccountedJob.parse(accounted)).toMatchObject({
      job: {
        ...{ jobId: '127', cpus: 1, gpus: 2, nodes: 'n1', workingDirectory: '/tmp' },
        status: { state: 'FAILED', stateReason: null, exitCode: 0, interruptSignal: 9 },
        time: { elapsed: 2, limit: 1_800, suspended: 0 },
        tasks: [
          { id: '127.batch', name: 'batch', status: { state: 'FAILED', interruptSignal: 9 }, time: { limit: null } },
        ],
      },
      comment: 'goldcrest:9',
    });
  });

  it('has no exit code where the one that is shown cannot be', () => {
    const wrong = { ...accounted, exit_code: { status: 'SUCCESS', return_code: 0 } };
    expect(restAccountedJob.parse(wrong).job.status.exitCode).toBeNull();
    const right = { ...wrong, state: { current: 'COMPLETED', reason: 'None' } };
    expect(restAccountedJob.parse(right).job.status.exitCode).toBe(0);
  });

  it('tells what its largest task used of what it had asked for, past 4 GiB too, and when that is final', () => {
    const [allocated] = accounted.tres.allocated;
    const mem = { type: 'mem', name: null, id: 2 };
    const tres = { allocated: [allocated, { ...mem, count: 8_192 }], requested: [{ ...mem, count: 8_192 }] };
    const using = (count: number) => ({
      ...accounted.steps[0],
      tres: {
        requested: {
          max: [
            { ...mem, count, node: 'n1', task: 0 },
            { ...allocated, node: 'n1' },
          ],
        },
      },
    });
    const { usage } = restAccountedJob.parse({ ...accounted, tres, steps: [using(2 ** 20), using(6 * 2 ** 30)] });
    const memoryRequestedBytes = 8 * 2 ** 30;
    expect(usage).toEqual({ isFinal: true, memoryUsedBytes: 6 * 2 ** 30, memoryRequestedBytes });
    // A young record knows the end before it knows what was asked for.
    expect(restAccountedJob.parse(accounted).usage).toEqual({
      ...{ isFinal: false, memoryUsedBytes: null, memoryRequestedBytes: null },
    });
    const running = { ...accounted, tres, state: { current: 'RUNNING', reason: 'None' } };
    expect(restAccountedJob.parse(running).usage).toMatchObject({ isFinal: false, memoryRequestedBytes });
  });

  it('is read in the forms of later versions', () => {
    const later = {
      ...accounted,
      state: { current: ['TIMEOUT'], reason: 'TimeLimit' },
      exit_code: {
        status: ['SUCCESS'],
        return_code: { set: true, infinite: false, number: 0 },
        signal: { id: { set: false, number: 0 } },
      },
      time: { ...accounted.time, limit: { set: true, infinite: false, number: 30 } },
      array: { ...accounted.array, job_id: 5, task_id: { set: true, infinite: false, number: 2 } },
      steps: accounted.steps.map((step) => ({
        ...step,
        state: ['CANCELLED'],
        step: { id: '127.batch', name: 'batch' },
      })),
      ...{ submit_line: 'sbatch x', priority: { set: true, infinite: false, number: 4 } },
    };
    const { job, comment } = restAccountedJob.parse(later);
    expect(job).toMatchObject({
      jobId: '5_2',
      status: { state: 'TIMEOUT', exitCode: 0 },
      time: { limit: 1_800 },
      priority: 4,
    });
    expect(job.tasks?.[0]).toMatchObject({ id: '5_2.batch', status: { state: 'CANCELLED' } });
    expect(comment).toBe('goldcrest:9 sbatch x');
  });
});

describe('the answer to a submission', () => {
  const errors = (status: number, ...list: object[]): RestAnswer => ({ status, body: { errors: list } });

  it('is the id where there is one, whatever errors stand beside it', () => {
    const held = { error_code: 2_042, error: 'Job is in held state, pending scheduler release' };
    expect(readSubmission({ status: 200, body: { errors: [held], job_id: 8, step_id: 'BATCH' } })).toEqual({
      jobId: '8',
    });
  });

  /** slurmrestd 22.05.8. */
  it.each([
    [errors(500, { error_code: 2_000, error: 'Invalid partition name specified' }), 'InvalidJob'],
    [errors(500, { error_code: 2_005, error: 'More processors requested than permitted' }), 'InvalidJob'],
    [errors(500, { error_code: 2_002, error: 'Access/permission denied' }), 'PermissionDenied'],
    [
      errors(500, { error_code: 2_050, error: 'Job violates accounting/QOS policy (job submit limit, …)' }),
      'SubmitLimit',
    ],
    [
      errors(
        400,
        { error: 'Invalid time specification', error_code: -1 },
        { error_code: 9_001, error: 'Failure during parsing' },
      ),
      'InvalidJob',
    ],
    [{ status: 401, body: 'Authentication failure' }, 'SchedulerFailed'],
    [{ status: 404, body: 'Unable find requested URL.' }, 'SchedulerFailed'],
    [errors(500, { error_code: 5_004, error: 'Socket timed out on send/recv operation' }), 'SubmissionInDoubt'],
    [errors(500, { error_code: 5_005, error: 'Zero Bytes were transmitted or received' }), 'SubmissionInDoubt'],
    [errors(500, { error_code: -1, error: 'Something new' }), 'SubmissionInDoubt'],
    [{ status: 502, body: '<html>Bad gateway</html>' }, 'SubmissionInDoubt'],
    [{ status: 200, body: {} }, 'SubmissionInDoubt'],
    [{ status: 200, body: { job_id: 0 } }, 'SubmissionInDoubt'],
  ])('%j is %s', (answer, code) => {
    expect(refusal(() => readSubmission(answer)).code).toBe(code);
  });
});

describe('the token of a user', () => {
  const key = Buffer.alloc(32, 7);

  it('names the user to Slurm and is valid little longer than a request may take', async () => {
    const { payload, protectedHeader } = await jwtVerify(await createMint(key, 10_000)('alice'), key);
    expect(protectedHeader).toEqual({ alg: 'HS256', typ: 'JWT' });
    expect(payload).toEqual({ sun: 'alice', iat: expect.any(Number), exp: (payload.iat ?? 0) + 70 });
  });

  it.each(['root', 'slurm'])('is not made for %s', async (username) => {
    await expect(createMint(key, 10_000)(username)).rejects.toMatchObject({ code: 'PermissionDenied' });
  });
});

/** A slurmrestd for answers that a real one does not give on demand. */
function fakeRest(answer: (call: RestCall) => RestAnswer | undefined): { rest: Rest; calls: string[] } {
  const calls: string[] = [];
  const rest: Rest = async (call) => {
    calls.push(call.path);
    const { status, body } = answer(call) ?? { status: 404, body: 'Unable find requested URL.' };
    const members = (body as Record<string, unknown[]>)[call.each?.member ?? ''] ?? [];
    for (const element of members) call.each?.take(element);
    return { status, body };
  };
  return { rest, calls };
}

describe('the version of the API', () => {
  const asker = { username: 'alice', signal };

  it('is the newest that slurmrestd answers, asked once', async () => {
    const { rest, calls } = fakeRest(({ path }) =>
      /0\.0\.(38|37)/.test(path) ? { status: 200, body: {} } : undefined,
    );
    const choose = createDialectChoice(rest, null);
    expect([(await choose(asker)).version, (await choose(asker)).version]).toEqual(['0.0.38', '0.0.38']);
    expect(calls).toEqual([43, 42, 41, 40, 39, 38].map((minor) => `/slurm/v0.0.${minor}/ping`));
  });

  it('is what the configuration says, unasked', async () => {
    const { rest, calls } = fakeRest(() => undefined);
    expect((await createDialectChoice(rest, 'v0.0.40')(asker)).minor).toBe(40);
    expect(calls).toEqual([]);
  });

  it('is asked for again after a failure, which is told as one', async () => {
    let status = 500;
    const { rest } = fakeRest(() => ({ status, body: { errors: [{ error: 'Unspecified error', error_number: -1 }] } }));
    const choose = createDialectChoice(rest, null);
    await expect(choose(asker)).rejects.toMatchObject({ code: 'SchedulerFailed' });
    status = 200;
    expect((await choose(asker)).version).toBe(dialects[0]?.version);
    await expect(createDialectChoice(fakeRest(() => undefined).rest, null)(asker)).rejects.toThrow(
      'from 0.0.37 to 0.0.43',
    );
  });
});

describe('a look for a key', () => {
  const [dialect] = dialects.filter(({ minor }) => minor === 38);
  const look = (queue: object[], accounting: object[]) => {
    if (!dialect) return expect.unreachable();
    const { rest } = fakeRest(({ path }) => ({
      status: 200,
      body: { jobs: path.startsWith('/slurmdb') ? accounting : queue },
    }));
    const session = { rest, dialect, username: 'gcalice', signal };
    return findByKey(session, { key: 'goldcrest:9', submittedAfter: 1_795_379_000_000, signal });
  };
  const without = { ...accounted, comment: { job: null } };

  it('finds it in queue and accounting, of the user alone', async () => {
    expect(await look([{ ...queued, comment: 'a goldcrest:9' }], [accounted])).toEqual({
      jobIds: ['2', '127'],
      isCertain: true,
    });
    expect(await look([{ ...queued, comment: 'goldcrest:9', user_name: 'gcbob' }], [])).toEqual({
      jobIds: [],
      isCertain: true,
    });
    expect(await look([{ ...queued, comment: 'goldcrest:99' }], [])).toEqual({ jobIds: [], isCertain: true });
  });

  it('is not certain where a job of that time left the queue and has no comment', async () => {
    expect(await look([], [without])).toEqual({ jobIds: [], isCertain: false });
    expect(await look([{ ...queued, job_id: 127 }], [without])).toEqual({ jobIds: [], isCertain: true });
    const older = { ...without, time: { ...accounted.time, submission: 1_795_300_000 } };
    expect(await look([], [older])).toEqual({ jobIds: [], isCertain: true });
  });
});
