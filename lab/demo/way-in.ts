/** What a visitor needs once the demo is up: the address, a token, and lines to paste into another terminal. */
import type { Screen } from './screen.ts';
import { type Stage, tokenHours } from './stage.ts';
import type { Story } from './story.ts';

/** Prints them; the shell lines are for sh, bash and zsh, and each `curl` line stands alone once the variables are set. */
export function showWayIn({ broker, user, workFolder, token }: Stage, { jobId, taskId }: Story, screen: Screen): void {
  const system = broker.systemName;
  const job = {
    name: 'again',
    workingDirectory: workFolder,
    standardOutput: 'again.out',
    script: '#!/bin/sh\nid; date\n',
  };
  const task = { operation: 'filesystem.ls', system, input: { path: workFolder } };
  const curl = (path: string, body?: unknown) => {
    const data = body === undefined ? '' : ` -H "$JSON" -d '${JSON.stringify(body)}'`;
    return `curl -sSw '\\n' -H "$AUTH" "$URL${path}"${data}`;
  };
  screen.heading(`Goldcrest stays up at ${broker.url} until you press Ctrl-C`);
  screen.text(
    `Paste into another terminal (sh, bash or zsh). The token is ${user.username}'s, good for ${tokenHours} hours.`,
  );
  screen.raw('', `URL=${broker.url}`, `TOKEN=${token}`);
  screen.raw(`AUTH="Authorization: Bearer $TOKEN" JSON='Content-Type: application/json'`);
  screen.raw('', '# which systems there are', curl('/status/systems'));
  screen.raw('', '# list the folder of the job', curl(`/filesystem/${system}/ops/ls?path=${workFolder}`));
  screen.raw('', '# submit another job; look at the first', curl(`/compute/${system}/jobs`, { job }));
  screen.raw(curl(`/compute/${system}/jobs/${jobId}`));
  screen.raw('', '# the listing as a task; the task from above: waits up to 30 s for its end', curl('/tasks', task));
  screen.raw(curl(`/tasks/${taskId}`).replace('curl', "curl -H 'Prefer: wait=30'"), '');
}
