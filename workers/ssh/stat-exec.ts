/** stat(2) without perl: paths asked for within one turn of the event loop share one `stat` process. */
import type { RemoteShell } from './remote-shell.ts';

export interface StatExec {
  /** Ten decimal numbers, or `E` and the message of `stat`. Rejects as `RemoteShell.run` does. */
  ask(path: Buffer, dereference: boolean): Promise<string>;
}

interface Question {
  readonly path: Buffer;
  resolve(text: string): void;
  reject(error: unknown): void;
}

/** Keeps the line short whatever the names hold. */
const batchBytesMax = 12 * 1024;
const batchPathsMax = 128;
/** Mode is hexadecimal in `stat`; the name is last because it may hold anything but NUL. */
const format = '%f %i %d %h %u %g %s %X %Z %Y %n\\0';

export function createStatExec(shell: RemoteShell): StatExec {
  const waiting = { follow: [] as Question[], keep: [] as Question[] };

  async function askBatch(questions: readonly Question[], dereference: boolean): Promise<void> {
    const argv = ['stat', ...(dereference ? ['--dereference'] : []), `--printf=${format}`, '--'];
    const paths = new Map(questions.map(({ path }) => [path.toString('latin1'), path]));
    const { stdout, stderr } = await shell.run([...argv, ...paths.values()], { outputBytesMax: 1024 * 1024 });
    const answers = answersByPath(stdout);
    const missing = [...paths.keys()].filter((path) => !answers.has(path));
    for (const question of questions) {
      const path = question.path.toString('latin1');
      const answer = answers.get(path);
      if (answer) question.resolve(answer);
      else if (missing.length === 1) question.resolve(`E${stderr.toString().trim()}`);
      else run([question], dereference); // the messages quote names their own way, so each is asked for alone
    }
  }

  function run(questions: readonly Question[], dereference: boolean): void {
    askBatch(questions, dereference).catch((error: unknown) => {
      for (const question of questions) question.reject(error);
    });
  }

  function flush(dereference: boolean): void {
    const questions = (dereference ? waiting.follow : waiting.keep).splice(0);
    let batch: Question[] = [];
    let bytes = 0;
    for (const question of questions) {
      if (batch.length === batchPathsMax || bytes + question.path.length > batchBytesMax) {
        run(batch, dereference);
        [batch, bytes] = [[], 0];
      }
      batch.push(question);
      bytes += question.path.length;
    }
    if (batch.length > 0) run(batch, dereference);
  }

  return {
    ask(path, dereference) {
      const queue = dereference ? waiting.follow : waiting.keep;
      if (queue.length === 0) setImmediate(flush, dereference);
      return new Promise((resolve, reject) => queue.push({ path, resolve, reject }));
    },
  };
}

/** What a start-up file of the shell printed may stand before the first record. */
function answersByPath(stdout: Buffer): Map<string, string> {
  const answers = new Map<string, string>();
  for (const record of stdout.toString('latin1').split('\0')) {
    const [, mode, rest, path] = /(?:^|\n)([0-9a-f]+) ((?:\d+ ){8}\d+) ([\s\S]*)$/.exec(record) ?? [];
    if (mode && rest && path !== undefined) answers.set(path, `${Number.parseInt(mode, 16)} ${rest}`);
  }
  return answers;
}
