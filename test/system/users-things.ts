/** What a user may have of every kind, so that others can be tried on it: a task, a job, a transfer, a webhook, a watch. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Answer, type Client, taskEnd } from './broker-fixture.ts';
import type { OwnDirectory } from './home-directory.ts';
import { completeUpload, directivesOf, jobOf, putParts, taskIdOf } from './transfer-fixture.ts';

export interface Things {
  /** By the first word of a route and the name of a path parameter: what a stranger would guess. */
  ids: Record<string, Record<string, string>>;
  /** The answers that handed out what is secret: an upload's addresses, the secret of a webhook, a ticket. */
  upload: Answer;
  webhook: Answer;
  ticket: Answer;
}

/** All of it has `mark` in it. The task's webhook is signed with `hookSecret`; the job runs for minutes. */
export async function makeThings(client: Client, own: OwnDirectory, mark: string, hookSecret: string): Promise<Things> {
  const file = join(own.path, mark);
  writeFileSync(file, `content ${mark}\n`, { mode: 0o600 });
  own.giveAway();
  const webhook = { url: 'http://127.0.0.1:18080/x', secret: hookSecret };
  const head = { operation: 'filesystem.head', system: 'lab', input: { path: file }, tags: [mark], webhook };
  const task = await client.post('/tasks', head);
  await taskEnd(client, `/tasks/${task.body.id}`);
  const job = { workingDirectory: own.path, name: mark, script: `#!/bin/sh\necho content ${mark}\nsleep 300\n` };
  const submitted = await client.post('/compute/lab/jobs', { job });
  expect(submitted.status, submitted.text).toBe(201);
  const watched = await client.post('/watches', { system: 'lab', jobId: submitted.body.jobId });
  const transferDirectives = { transferMethod: 's3', fileSize: 5 };
  const upload = await client.post('/filesystem/lab/transfer/upload', { path: `${file}-up`, transferDirectives });
  const made = await client.post('/webhooks', { url: webhook.url, description: mark });
  const sent = await client.post(`/webhooks/${made.body.id}/test`, undefined);
  const ticket = await client.post('/events/tickets', undefined);
  const ids = {
    tasks: { id: task.body.id },
    webhooks: { id: made.body.id, delivery_id: String(sent.body.delivery) },
    watches: { id: String(watched.body.id) },
    compute: { system_name: 'lab', job_id: submitted.body.jobId },
    transfer: { id: taskIdOf(upload), job_id: String(jobOf(upload).jobId) },
  };
  const directives = directivesOf(upload);
  const etags = await putParts(directives, Buffer.from('hello'));
  expect((await completeUpload(directives, etags)).status).toBe(200);
  await taskEnd(client, `/tasks/${ids.transfer.id}`);
  return { ids, upload, webhook: made, ticket };
}
