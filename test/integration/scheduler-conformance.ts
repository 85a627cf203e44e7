import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type JobDescription, job as jobSchema } from '../../shared/operations/compute/job.ts';
import { jobMetadata } from '../../shared/operations/compute/job-metadata.ts';
import { node } from '../../shared/operations/status/nodes.ts';
import { partition } from '../../shared/operations/status/partitions.ts';
import { reservation } from '../../shared/operations/status/reservations.ts';
import { account } from '../../shared/operations/status/userinfo.ts';
import type { ListRequest } from '../../workers/schedulers/scheduler.ts';
import {
  type Candidate,
  describeJob,
  failure,
  fullTraits,
  jobEnd,
  jobRunning,
  listOf,
  newKey,
  noSignal,
  submitAs,
  type Traits,
} from './scheduler-candidate.ts';
import { itChangesJobs } from './scheduler-conformance-changes.ts';

/** Registers the suite. `candidate` is called once, before the first test. */
export function describeSchedulerConformance(
  name: string,
  candidate: () => Promise<Candidate>,
  traits: Traits = fullTraits,
): void {
  const { jobNames, hasJobFiles, enter, lacks = [], isScripted } = traits;
  // Most of each test is waiting for a job, so several run at once, each with jobs and files of its own.
  describe.concurrent(`${name} conforms: a scheduler adapter`, () => {
    let tested: Candidate;
    beforeAll(async () => {
      tested = await candidate();
    });

    const submit = (script: string, more: Partial<JobDescription> = {}, key = newKey()): Promise<string> =>
      submitAs(tested, script, more, key);
    const read = async (file: string): Promise<string> =>
      (await tested.host.files.readFile(`${tested.directory}/${file}`, { bytesMax: 100_000 })).toString();

    it('answers a ping', async () => {
      await tested.adapter.ping(tested.host, noSignal);
    });

    it('shows a job at once after its submission, in the shape of the contract, with an id of digits', async () => {
      const jobId = await submit('#!/bin/sh\nexit 0\n', { name: 'plain' });
      expect(jobId).toMatch(/^\d+$/);
      const jobs = await tested.adapter.get(tested.host, { jobId, signal: noSignal });
      expect(jobs).toHaveLength(1);
      expect(jobSchema.parse(jobs[0])).toMatchObject({ jobId, name: 'plain', user: tested.host.username });
      await jobEnd(tested, jobId);
    });

    it('runs the script where it was told to, with its files, and reports success and times', async () => {
      const before = Math.floor(Date.now() / 1_000) - 1;
      const [line, files] = hasJobFiles
        ? ['read -r line', { standardInput: 'in put' }]
        : ["read -r line <'in put'", {}];
      const script = `#!/bin/sh\n${enter}pwd\necho problem >&2\n${line}\necho "got $line"\n`;
      await tested.host.files.writeFile(`${tested.directory}/in put`, Buffer.from('from the file\n'));
      const jobId = await submit(script, { ...files, standardOutput: 'o u t', standardError: 'err' });
      const job = await jobEnd(tested, jobId);
      expect(job.status).toMatchObject({ state: 'COMPLETED', exitCode: 0, interruptSignal: 0 });
      expect(job.time.start).toBeGreaterThanOrEqual(before);
      expect(job.time.end).toBeGreaterThanOrEqual(job.time.start ?? Number.POSITIVE_INFINITY);
      expect(job.workingDirectory).toBe(tested.directory);
      expect(await read('o u t')).toBe(`${tested.directory}\ngot from the file\n`);
      expect(await read('err')).toBe('problem\n');
    });

    it('reports a failed job with its exit code', async () => {
      const job = await jobEnd(tested, await submit('#!/bin/sh\nexit 7\n'));
      expect(job.status).toMatchObject({ state: 'FAILED', exitCode: 7, interruptSignal: 0 });
    });

    it('reports the signal that ended a job', async () => {
      const job = await jobEnd(tested, await submit('#!/bin/sh\nkill -KILL $$\n'));
      expect(job.status).toMatchObject({ state: 'FAILED', interruptSignal: 9 });
    });

    it('hands environment values over literally', async () => {
      const env = {
        COMMAS: 'a,b,c=d',
        QUOTES: `'single' "double" \`back\` \\ $HOME $(id)`,
        LINES: 'one\ntwo\n\nfour',
        EMPTY: '',
        UMLAUT: 'grün ✓',
        JSON_TEXT: '{"a": [1, "x,y"]}',
      };
      const names = Object.keys(env);
      const script = `#!/bin/sh\n${names.map((name) => `printf '%s\\0' "$${name}"`).join('\n')}\n`;
      await jobEnd(tested, await submit(script, { env, standardOutput: 'environment' }));
      expect((await read('environment')).split('\0').slice(0, -1)).toEqual(Object.values(env));
    });

    it('hands over variables that the submission itself would act on', async () => {
      const env = {
        PATH: '/nowhere:/usr/bin:/bin',
        SBATCH_PARTITION: 'no such',
        SLURM_JOB_NAME_X: 'a,b',
        LD_BIND_NOW: '1',
      };
      const script = `#!/bin/sh\necho "$PATH|$SBATCH_PARTITION|$SLURM_JOB_NAME_X|$LD_BIND_NOW"\n`;
      await jobEnd(tested, await submit(script, { env, standardOutput: 'early' }));
      expect(await read('early')).toBe('/nowhere:/usr/bin:/bin|no such|a,b|1\n');
    });

    it('does not let the locale of its own commands reach the job', async () => {
      await jobEnd(tested, await submit('#!/bin/sh\necho "[$LC_ALL]"\n', { standardOutput: 'locale' }));
      expect(await read('locale')).toBe('[]\n');
    });

    it.each(jobNames)('keeps the job name %j', async (name) => {
      const jobId = await submit('#!/bin/sh\nsleep 5\n', { name });
      const [job] = await tested.adapter.get(tested.host, { jobId, signal: noSignal });
      expect(job?.name).toBe(name);
      await tested.adapter.cancel(tested.host, { jobId, signal: noSignal });
    });

    it('submits a script that is on the cluster', async () => {
      const path = `${tested.directory}/my script.sh`;
      await tested.host.files.writeFile(path, Buffer.from('#!/bin/sh\necho from a path\n'));
      await jobEnd(
        tested,
        await submit('', { script: undefined, scriptPath: path, name: 'by-path', standardOutput: 'by-path' }),
      );
      expect(await read('by-path')).toBe('from a path\n');
    });

    it('runs a large script whole', async () => {
      const script = `#!/bin/sh\n${`# ${'x'.repeat(997)}\n`.repeat(1_000)}echo whole\n`;
      await jobEnd(tested, await submit(script, { standardOutput: 'large' }));
      expect(await read('large')).toBe('whole\n');
    });

    it('refuses a script path that is not there', async () => {
      const error = await failure(submit('', { script: undefined, scriptPath: `${tested.directory}/absent` }));
      expect(error.code).toBe('InvalidJob');
      expect(error.message).toContain('Unable to open file');
    });

    it.each([
      ['without an interpreter line', 'echo hi\n', '#!/bin/bash'],
      ['with DOS line breaks', '#!/bin/sh\r\necho hi\r\n', 'DOS line breaks'],
      ['that is empty', '  \n', 'empty'],
    ])('refuses a script %s and says what to do', async (_what, script, words) => {
      const error = await failure(submit(script));
      expect(error.code).toBe('InvalidJob');
      expect(error.message).toContain(words);
    });

    it('finds a job by its key, running or ended, and no other job', async () => {
      const key = newKey();
      const submittedAfter = Date.now();
      const find = () => tested.adapter.findByKey(tested.host, { key, submittedAfter, signal: noSignal });
      expect(await find()).toEqual({ jobIds: [], isCertain: true });
      const jobId = await submit('#!/bin/sh\nsleep 1\n', {}, key);
      expect(await find()).toEqual({ jobIds: [jobId], isCertain: true });
      await jobEnd(tested, jobId);
      expect(await find()).toEqual({ jobIds: [jobId], isCertain: true });
      const shorter = { key: key.slice(0, -1), submittedAfter, signal: noSignal };
      expect((await tested.adapter.findByKey(tested.host, shorter)).jobIds).toEqual([]);
    });

    it('cancels a running job, which leaves the active states, and its processes', async () => {
      const script = `#!/bin/sh\n${enter}sleep 300 & echo $! >child\nwait\n`;
      const jobId = await submit(script);
      await jobRunning(tested, jobId);
      await vi.waitFor(async () => expect(await read('child')).toMatch(/\d\n/), { timeout: 30_000 });
      await tested.adapter.cancel(tested.host, { jobId, signal: noSignal });
      const job = await jobEnd(tested, jobId);
      expect(job.status.state).toBe('CANCELLED');
      const child = (await read('child')).trim();
      await vi.waitFor(
        async () => {
          const { exitCode } = await tested.host.shell.run(['kill', '-0', child]);
          expect(exitCode).not.toBe(0);
        },
        { timeout: 30_000 },
      );
    });

    it('leaves an ended job as it is when told to cancel it', async () => {
      const jobId = await submit('#!/bin/sh\nexit 0\n');
      await jobEnd(tested, jobId);
      await tested.adapter.cancel(tested.host, { jobId, signal: noSignal });
      expect((await jobEnd(tested, jobId)).status.state).toBe('COMPLETED');
    });

    it.each(['4294967', '999999_4', '12+1', 'abc', '1,2', '123.batch'])('knows no job %s', async (jobId) => {
      const shown = await failure(tested.adapter.get(tested.host, { jobId, signal: noSignal }));
      expect([shown.code, shown.message]).toEqual(['JobNotFound', 'Job not found.']);
      const canceled = await failure(tested.adapter.cancel(tested.host, { jobId, signal: noSignal }));
      expect(canceled.code).toBe('JobNotFound');
      expect(canceled.message).toContain('Job not found');
    });

    it('knows when a job was submitted, how long it may run and how many CPUs it has', async () => {
      const before = Math.floor(Date.now() / 1_000) - 1;
      const resources = { nodes: 1, tasks: 1, cpusPerTask: 2, timeLimitSeconds: 120 };
      const jobId = await submit('#!/bin/sh\n#SBATCH --time=1 --cpus-per-task=1\nexit 0\n', resources);
      const job = await jobEnd(tested, jobId);
      expect([job.cpus, job.time.limit]).toEqual([2, 120]);
      expect(job.time.submit).toBeGreaterThanOrEqual(before);
      expect(job.time.submit).toBeLessThanOrEqual(job.time.start ?? 0);
    });

    if (!isScripted) {
      it('refuses a job that asks for more than there is', async () => {
        const error = await failure(submit('#!/bin/sh\nexit 0\n', { nodes: 1_000 }));
        expect(error.code).toBe('InvalidJob');
      });
    }

    it('looks up many jobs as it shows them one by one, and leaves out those it does not know', async () => {
      const ended = await submit('#!/bin/sh\nexit 4\n');
      await jobEnd(tested, ended);
      const running = await submit('#!/bin/sh\nexec sleep 300\n');
      await jobRunning(tested, running);
      const { username } = tested.host;
      for (const usernames of [[], [username]]) {
        const jobIds = [running, '4294967', ended, 'abc'];
        const found = await tested.adapter.lookUp(tested.host, { jobIds, usernames, signal: noSignal });
        expect(jobIds.filter((jobId) => found.has(jobId))).toEqual([running, ended]);
        expect(found.get(running)?.map(({ status }) => status.state)).toEqual(['RUNNING']);
        expect(found.get(ended)).toEqual(await tested.adapter.get(tested.host, { jobId: ended, signal: noSignal }));
      }
      await tested.adapter.cancel(tested.host, { jobId: running, signal: noSignal });
    });

    itChangesJobs(() => tested, traits);

    const list = (more: Partial<ListRequest> = {}) => listOf(tested, more);

    it('lists jobs that run and jobs that ended, the newest first, as it shows them one by one', async () => {
      const ended = await submit('#!/bin/sh\nexit 3\n', { name: 'list-ended' });
      await jobEnd(tested, ended);
      const running = await submit('#!/bin/sh\nexec sleep 300\n', { name: 'list-running' });
      await jobRunning(tested, running);
      const { jobs, omittedJobs, isComplete } = await list();
      expect([omittedJobs, isComplete]).toEqual([0, true]);
      expect(jobs.map((job) => jobSchema.parse(job))).toEqual(jobs);
      // What pages of a list go by.
      expect(jobs.filter(({ time }) => time.submit === null)).toEqual([]);
      expect(new Set(jobs.map(({ user }) => user))).toEqual(new Set([tested.host.username]));
      const shown = jobs.filter(({ jobId }) => [running, ended].includes(jobId));
      expect(shown.map(({ jobId, name, status }) => [jobId, name, status.state, status.exitCode])).toEqual([
        [running, 'list-running', 'RUNNING', null],
        [ended, 'list-ended', 'FAILED', 3],
      ]);
      await tested.adapter.cancel(tested.host, { jobId: running, signal: noSignal });
    });

    it.each(jobNames)('lists only the jobs of the name %j when asked to', async (name) => {
      const jobIds = [
        await submit('#!/bin/sh\nexit 0\n', { name }),
        await submit('#!/bin/sh\nexit 0\n', { name: 'other' }),
      ];
      for (const jobId of jobIds) await jobEnd(tested, jobId);
      const { jobs } = await list({ name });
      expect(jobs.map(({ jobId }) => jobId)).toContain(jobIds[0]);
      expect(new Set(jobs.map((job) => job.name))).toEqual(new Set([name]));
    });

    it('lists no job of an account that has none', async () => {
      expect((await list({ account: 'no-such-account' })).jobs).toEqual([]);
    });

    it.each(['4294967', 'abc'])('has no metadata of job %s, and nothing to attach to', async (jobId) => {
      const shown = await failure(tested.adapter.metadata(tested.host, { jobId, signal: noSignal }));
      if (lacks.includes('metadata')) expect(shown.code).toBe('NotSupported');
      else expect([shown.code, shown.message]).toEqual(['JobNotFound', 'Job not found.']);
      const request = { jobId, command: 'true', signal: noSignal };
      const attached = await failure(tested.adapter.attach(tested.host, request));
      expect(['JobNotFound', 'NotSupported']).toContain(attached.code);
    });

    it('shows nodes, partitions, reservations and accounts in the shape of the contract', async () => {
      const { adapter, host } = tested;
      const nodes = await adapter.nodes(host, noSignal);
      expect(nodes.map((each) => node.parse(each))).toEqual(nodes);
      expect(nodes.length).toBeGreaterThan(0);
      for (const { name, cpus, state } of nodes) {
        expect([name, cpus > 0, state.length > 0]).toEqual([expect.stringMatching(/./), true, true]);
      }
      const partitions = await adapter.partitions(host, { showsHidden: false, signal: noSignal });
      expect(partitions.map((each) => partition.parse(each))).toEqual(partitions);
      const names = partitions.map(({ name }) => name);
      expect(nodes.flatMap((each) => each.partitions ?? []).every((name) => names.includes(name))).toBe(true);
      const reservations = await adapter.reservations(host, noSignal);
      expect(reservations.map((each) => reservation.parse(each))).toEqual(reservations);
      const accounts = (await adapter.accounts(host, noSignal)) ?? [];
      expect(accounts.map((each) => account.parse(each))).toEqual(accounts);
    });

    it.each(['inline', 'by path'])('hands nothing over before the intent is kept: script %s', async (way) => {
      const script = '#!/bin/sh\nexit 0\n';
      const scriptPath = `${tested.directory}/intended.sh`;
      await tested.host.files.writeFile(scriptPath, Buffer.from(script));
      const inline = describeJob(tested.directory, script);
      const job = way === 'inline' ? inline : { ...inline, script: undefined, scriptPath };
      const found = async (key: string) => {
        const request = { key, submittedAfter: Date.now(), signal: noSignal };
        return (await tested.adapter.findByKey(tested.host, request)).jobIds;
      };
      let keep = (): void => {};
      const kept = new Promise<void>((resolve) => {
        keep = resolve;
      });
      const key = newKey();
      const submission = tested.adapter.submit(tested.host, { job, key, intended: kept, signal: noSignal });
      expect(await found(key)).toEqual([]);
      keep();
      const { jobId } = await submission;
      expect(await found(key)).toEqual([jobId]);
      await jobEnd(tested, jobId);

      const refusedKey = newKey();
      const intended = Promise.reject(new Error('not kept'));
      intended.catch(() => undefined);
      const refused = tested.adapter.submit(tested.host, { job, key: refusedKey, intended, signal: noSignal });
      expect(await failure(refused)).toMatchObject({ message: 'not kept' });
      expect(await found(refusedKey)).toEqual([]);
    });

    it('submits nothing once it was told to stop', async () => {
      const key = newKey();
      const job = describeJob(tested.directory, '#!/bin/sh\nexit 0\n');
      await failure(tested.adapter.submit(tested.host, { job, key, signal: AbortSignal.abort(new Error('stop')) }));
      const found = await tested.adapter.findByKey(tested.host, { key, submittedAfter: Date.now(), signal: noSignal });
      expect(found).toEqual({ jobIds: [], isCertain: true });
    });

    if (hasJobFiles) {
      it('puts the job id into a file name where it says %j', async () => {
        const jobId = await submit('#!/bin/sh\necho out; echo err >&2\n', { standardOutput: 'both-%j.txt' });
        await jobEnd(tested, jobId);
        expect(await read(`both-${jobId}.txt`)).toBe('out\nerr\n');
      });
    }

    if (hasJobFiles && !lacks.includes('metadata')) {
      it('shows the script to the byte and the files of a job, running and ended', async () => {
        const script = '#!/bin/sh\n# ü "quotes" \\n %j\nsleep 1\necho done\n# no newline at the end';
        const jobId = await submit(script, { standardOutput: 'out put-%j', name: 'a b' });
        const show = () => tested.adapter.metadata(tested.host, { jobId, signal: noSignal });
        const expected = {
          jobId,
          script,
          standardInput: '/dev/null',
          standardOutput: `${tested.directory}/out put-${jobId}`,
          standardError: `${tested.directory}/out put-${jobId}`,
        };
        expect((await show()).map((entry) => jobMetadata.parse(entry))).toEqual([expected]);
        await jobEnd(tested, jobId);
        expect(await show()).toEqual([expected]);
        expect(await read(`out put-${jobId}`)).toBe('done\n');
      });

      it('shows where output goes by default, and files with absolute paths', async () => {
        const error = `${tested.directory}/absolute err`;
        await tested.host.files.writeFile(`${tested.directory}/other in put`, Buffer.from('x'));
        const jobId = await submit('#!/bin/sh\necho out; echo err >&2\n', {
          standardError: error,
          standardInput: 'other in put',
        });
        const [files] = await tested.adapter.metadata(tested.host, { jobId, signal: noSignal });
        expect(files).toMatchObject({ standardError: error, standardInput: `${tested.directory}/other in put` });
        await jobEnd(tested, jobId);
        const output = await tested.host.files.readFile(files?.standardOutput ?? '', { bytesMax: 100 });
        expect(output.toString()).toBe('out\n');
      });
    }
  });
}
