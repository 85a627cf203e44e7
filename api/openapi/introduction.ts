/** What the API document says before its routes: how to use any of them, and what each group of them is for. */
import { firecrestApiVersion } from '../http/f7t-headers.ts';

/** Paragraphs, plain text. */
export const introduction = [
  `A task broker in front of HPC clusters that speaks the REST API of FirecREST ${firecrestApiVersion}: each request is a durable task.`,
  'Most routes are answered when their task has ended. With the header "Prefer: respond-async" the answer is 202 at once, with the task and its Location; ' +
    'GET on that, with "Prefer: wait=30", answers when it has ended. POST /tasks takes any operation by its name.',
  'A POST, and whatever changes something, may be sent again with the same Idempotency-Key: it is done once, and both are answered alike.',
  'An error is a problem (RFC 9457) that also has the members of FirecREST; its "code" says what happened, "fault" whose turn it is, "retryable" whether to send the same again, and "advice" what to do.',
].join('\n\n');

/** In the order in which they are shown. */
export const tags: readonly { name: string; description: string }[] = [
  { name: 'compute', description: 'Jobs of the scheduler, as its user' },
  { name: 'filesystem', description: 'Files: under ops/ what is done at once, under transfer/ what may take long' },
  { name: 'status', description: 'The systems, what they have, and whether they are well' },
  { name: 'tasks', description: 'Tasks: many at once, chains of several, their state, results and cancel' },
  { name: 'health', description: 'What the probes of the systems found' },
  { name: 'events', description: 'Tasks and watched jobs as they go on, as server-sent events' },
  { name: 'webhooks', description: 'Addresses that are told of tasks and jobs by signed messages' },
  { name: 'audit', description: 'The record of what was asked and done' },
  { name: 'watches', description: 'Standing wishes to hear of the end of jobs' },
];
