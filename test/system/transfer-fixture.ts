/** What the tests of transfers share: a FirecREST client's own way with a transfer's job, and a look for what is left behind. */
import { readdirSync, readlinkSync } from 'node:fs';
import { expect, vi } from 'vitest';
import type { LabUser } from '../../lab/users.ts';
import { eventually } from '../eventually.ts';
import { namesBelow } from '../names-below.ts';
import { userProcesses } from '../user-processes.ts';
import { type Answer, type Client, pathQuery } from './broker-fixture.ts';

export interface TransferJob {
  jobId: string;
  system: string;
  workingDirectory: string;
  logs: { outputLog: string; errorLog: string };
}

export interface Directives {
  partsUploadUrls: string[];
  completeUploadUrl: string;
  maxPartSize: number;
  downloadUrl: string;
}

/** What `GET /tasks/{id}/transfer` says, as soon as it says what its client is to do. */
export function directionsOf(client: Client, location: string): Promise<Record<string, string | null>> {
  return vi.waitFor(
    async () => {
      const { status, body, text } = await client.get(`${location}/transfer`);
      if (status !== 200) throw new Error(`${status} ${text}`);
      return body as unknown as Record<string, string | null>;
    },
    { timeout: 30_000, interval: 100 },
  );
}

export function jobOf(answer: Answer): TransferJob {
  return answer.body.transferJob as TransferJob;
}

export function directivesOf(answer: Answer): Directives {
  return answer.body.transferDirectives as Directives;
}

/** The id of the task behind a transfer's job. */
export function taskIdOf(answer: Answer): string {
  return /job_([0-9a-f-]{36})\.log$/.exec(jobOf(answer).logs.outputLog)?.[1] ?? '';
}

/** How a job ended, and what its logs say, as pyfirecrest reads them. */
export interface JobEnd {
  state: string;
  exitCode: number | null;
  output: string;
  error: string;
}

const finalStates = ['COMPLETED', 'FAILED', 'CANCELLED'];

/** Polls the job until it has ended and reads its two logs by `ops/view`. */
export async function jobEnd(client: Client, job: TransferJob, timeoutMs = 60_000): Promise<JobEnd> {
  const status = await vi.waitFor(
    async () => {
      const { body, text } = await client.get(`/compute/${job.system}/jobs/${job.jobId}`);
      const seen = body.jobs?.[0]?.status;
      if (seen === undefined || !finalStates.includes(seen.state)) throw new Error(`not ended: ${text}`);
      return seen;
    },
    { timeout: timeoutMs, interval: 100 },
  );
  const [output, error] = await Promise.all(
    [job.logs.outputLog, job.logs.errorLog].map(async (path) => {
      const { body, text } = await client.get(`/filesystem/${job.system}/ops/view?${pathQuery(path)}`);
      if (typeof body.output !== 'string') throw new Error(`no log: ${text}`);
      return body.output;
    }),
  );
  return { state: status.state, exitCode: status.exitCode, output: output ?? '', error: error ?? '' };
}

/** PUTs the parts of a file to their addresses, as any client does: no authorization, no content type. */
export async function putParts({ partsUploadUrls, maxPartSize }: Directives, content: Buffer): Promise<string[]> {
  const etags: string[] = [];
  for (const [index, url] of partsUploadUrls.entries()) {
    const body = content.subarray(index * maxPartSize, (index + 1) * maxPartSize);
    const response = await fetch(url, { method: 'PUT', body });
    if (response.status !== 200) throw new Error(`part ${index + 1}: ${response.status} ${await response.text()}`);
    etags.push(response.headers.get('etag') ?? '');
  }
  return etags;
}

/** POSTs the list of parts, as pyfirecrest writes it. */
export async function completeUpload({ completeUploadUrl }: Directives, etags: readonly string[]): Promise<Response> {
  const parts = etags.map((etag, index) => `<Part><ETag>${etag}</ETag><PartNumber>${index + 1}</PartNumber></Part>`);
  const list = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join('')}</CompleteMultipartUpload>`;
  const body = Buffer.from(`<?xml version='1.0' encoding='utf-8'?>\n${list}`);
  return fetch(completeUploadUrl, { method: 'POST', body });
}

/** A name or a process, and by what it is known whose it is. */
interface Trace {
  shown: string;
  marks: string;
}

/** What transfers leave on a cluster: directories of work, partial files, and processes, by their words and where they are at home. */
function tracesOf(lab: { folder: string }, user: LabUser, directory: string): Trace[] {
  const names = [...readdirSync(user.home), ...namesBelow(directory)];
  const processes = userProcesses(lab, user).map(({ pid, line }) => ({
    shown: line,
    marks: `${line} ${placeOf(pid)}`,
  }));
  return [...names.map((name) => ({ shown: name, marks: name })), ...processes];
}

function placeOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return ''; // it has ended meanwhile
  }
}

/** What is left of one task's transfer: its directory of work, partial files, and the processes that have its id or are at home there. */
export function leftoversOf(taskId: string, lab: { folder: string }, user: LabUser, directory: string): string[] {
  return tracesOf(lab, user, directory).flatMap(({ shown, marks }) => (marks.includes(taskId) ? [shown] : []));
}

/** Resolves when that is nothing; rejects when something stays. */
export function untilNothingIsLeft(
  ...[answer, ...place]: [Answer, { folder: string }, LabUser, string]
): Promise<void> {
  return eventually(() => expect(leftoversOf(taskIdOf(answer), ...place)).toEqual([]));
}

/**
 * A look for what is left of the transfers of this client at this broker, its latest hundred. Tests of other files may have
 * transfers of the same user under way.
 */
export function watchLeftovers(
  client: Client,
  lab: { folder: string },
  user: LabUser,
  directory: string,
): () => Promise<string[]> {
  return async () => {
    const { body, text } = await client.get('/tasks?limit=100');
    if (!Array.isArray(body?.tasks)) throw new Error(text);
    const ids = (body.tasks as { id: string }[]).map(({ id }) => id);
    return tracesOf(lab, user, directory).flatMap(({ shown, marks }) =>
      ids.some((id) => marks.includes(id)) ? [shown] : [],
    );
  };
}
