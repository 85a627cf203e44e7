/** What the demo does with the API: submit a job, wait for its end, look at its output; then a listing as a task. */
import { setTimeout as delay } from 'node:timers/promises';
import { LabError } from '../lab-error.ts';
import { type ApiClient, createApiClient } from './api-client.ts';
import { formatTook, type Screen } from './screen.ts';
import type { Stage } from './stage.ts';

interface Scene {
  api: ApiClient;
  screen: Screen;
  systemName: string;
  /** The job's working directory. */
  workFolder: string;
  /** Sent with the job where the scheduler has accounts. */
  account: string | undefined;
}

interface JobView {
  status: { state: string; exitCode: number | null };
}

interface FileView {
  name: string;
  type: string;
  user: string;
  group: string;
  permissions: string;
  lastModified: string;
  size: string;
}

interface TaskView {
  id: string;
  state: string;
  result?: { entries?: FileView[] } | null;
}

const outputName = 'hello.out';
const pollIntervalMs = 250;
const jobTimeoutMs = 60_000;
const waitSeconds = 30;
const unfinished = new Set(['PENDING', 'RUNNING']);

const script = `#!/bin/sh
echo "Hello from $(uname -n). I am $(id -un), in $PWD."
for part in 1 2 3; do
  echo "part $part of 3"
  sleep 0.3
done
echo "squares: $(seq 1 10 | awk '{ printf "%d ", $1 * $1 }')" >result.txt
echo "The result is in result.txt."
`;

/** What the API made on the way. */
export interface Story {
  jobId: string;
  taskId: string;
}

/** Throws `CommandFailed` when the API says no or the job fails, `TimedOut` when it does not end within a minute. */
export async function performStory({ lab, broker, user, workFolder, token }: Stage, screen: Screen): Promise<Story> {
  const api = createApiClient(broker.url, token);
  const account = lab.find('slurm') === undefined ? undefined : user.accounts[0];
  const scene: Scene = { api, screen, systemName: broker.systemName, workFolder, account };
  const jobId = await runJob(scene);
  return { jobId, taskId: await runTask(scene) };
}

async function runJob(scene: Scene): Promise<string> {
  const { screen } = scene;
  screen.heading("One job, by FirecREST v2's REST API");
  const jobId = await submit(scene);
  await waitForEnd(scene, jobId);
  await list(scene);
  await showStatus(scene);
  await showOutput(scene);
  return jobId;
}

async function runTask({ api, screen, systemName, workFolder }: Scene): Promise<string> {
  screen.heading('The same listing as a task: accepted at once, held in Redis, asked for when it suits');
  const body = { operation: 'filesystem.ls', system: systemName, input: { path: workFolder } };
  const accepted = await api.post<TaskView>('/tasks', body);
  screen.exchange(
    'POST /tasks',
    accepted.status,
    accepted.tookMs,
    `task ${accepted.body.id} is ${accepted.body.state}`,
  );
  const ended = await api.get<TaskView>(`/tasks/${accepted.body.id}`, { prefer: `wait=${waitSeconds}` });
  const count = ended.body.result?.entries?.length ?? 0;
  if (ended.body.state !== 'completed') {
    throw new LabError('CommandFailed', `The task ended as ${ended.body.state}: ${JSON.stringify(ended.body)}`);
  }
  const request = `GET /tasks/${accepted.body.id}  (Prefer: wait=${waitSeconds})`;
  screen.exchange(request, ended.status, ended.tookMs, `${ended.body.state}, ${count} entries`);
  return accepted.body.id;
}

async function submit({ api, screen, systemName, workFolder, account }: Scene): Promise<string> {
  const path = `/compute/${systemName}/jobs`;
  const job = { name: 'hello', workingDirectory: workFolder, standardOutput: outputName, script };
  const answer = await api.post<{ jobId: string }>(path, { job: account === undefined ? job : { ...job, account } });
  screen.exchange(
    `POST ${path}`,
    answer.status,
    answer.tookMs,
    `job ${answer.body.jobId} is submitted (the worker logged in for it)`,
  );
  return answer.body.jobId;
}

async function waitForEnd({ api, screen, systemName }: Scene, jobId: string): Promise<void> {
  const path = `/compute/${systemName}/jobs/${jobId}`;
  const startedAt = performance.now();
  const states: string[] = [];
  for (let polls = 1; ; polls += 1) {
    const { status, tookMs, body } = await api.get<{ jobs: JobView[] }>(path);
    const job = body.jobs[0]?.status ?? { state: 'UNKNOWN', exitCode: null };
    if (states.at(-1) !== job.state) states.push(job.state);
    const waitedMs = performance.now() - startedAt;
    if (job.state === 'COMPLETED') {
      const story = `${states.join(', ')} after ${formatTook(waitedMs)} and ${polls} polls; exit code ${job.exitCode}`;
      return screen.exchange(`GET ${path}`, status, tookMs, story);
    }
    if (!unfinished.has(job.state)) throw new LabError('CommandFailed', `Job ${jobId} ended as ${job.state}`);
    if (waitedMs > jobTimeoutMs) {
      throw new LabError('TimedOut', `Job ${jobId} is still ${job.state} after ${formatTook(waitedMs)}`);
    }
    screen.wait(`job ${jobId} is ${job.state}`);
    await delay(pollIntervalMs);
  }
}

async function list({ api, screen, systemName, workFolder }: Scene): Promise<void> {
  const path = `/filesystem/${systemName}/ops/ls?path=${workFolder}`;
  const { status, tookMs, body } = await api.get<{ output: FileView[] }>(path);
  screen.exchange(`GET ${path}`, status, tookMs, `${body.output.length} entries`);
  const sizeWidth = Math.max(...body.output.map(({ size }) => size.length));
  screen.quote(
    body.output.map(({ type, permissions, user, group, size, lastModified, name }) =>
      [`${type}${permissions}`, user, group, size.padStart(sizeWidth), lastModified, name].join('  '),
    ),
  );
}

async function showStatus({ api, screen, systemName, workFolder }: Scene): Promise<void> {
  const path = `/filesystem/${systemName}/ops/stat?path=${workFolder}/${outputName}`;
  const { status, tookMs, body } = await api.get<{ output: { size: number; mode: number; ino: number } }>(path);
  const mode = (body.output.mode & 0o7777).toString(8);
  screen.exchange(`GET ${path}`, status, tookMs, `${body.output.size} bytes, mode ${mode}, inode ${body.output.ino}`);
}

async function showOutput({ api, screen, systemName, workFolder }: Scene): Promise<void> {
  const path = `/filesystem/${systemName}/ops/view?path=${workFolder}/${outputName}`;
  const { status, tookMs, body } = await api.get<{ output: string }>(path);
  const lines = body.output.trimEnd().split('\n');
  screen.exchange(`GET ${path}`, status, tookMs, `${lines.length} lines`);
  screen.quote(lines);
}
