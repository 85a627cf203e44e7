/** Runs one program of the machine to its end, with a deadline, and gives back what it said. */
import { spawn } from 'node:child_process';
import { LabError } from './lab-error.ts';
import { plainEnvironment } from './plain-environment.ts';

export interface CommandOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** What the program reads on its standard input; nothing when left out. */
  input?: string;
  uid?: number;
  gid?: number;
  /** 30,000 when left out. */
  timeoutMs?: number;
}

export interface CommandOutput {
  stdout: string;
  stderr: string;
}

/** Resolves when the program ends with 0. Throws `CommandFailed` with its output, and `Missing` when there is none. */
export async function runCommand(command: string, args: readonly string[], options: CommandOptions = {}) {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const child = spawn(command, args, {
    env: { ...plainEnvironment(), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  });
  const output: CommandOutput = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output.stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    output.stderr += chunk;
  });
  // A program that ends without reading its input breaks the pipe; its exit code tells what happened.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  return new Promise<CommandOutput>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const fault = error.code === 'ENOENT' ? 'Missing' : 'CommandFailed';
      reject(new LabError(fault, `${command} could not be run: ${error.message}`, { cause: error }));
    });
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(output);
      const end = signal === null ? `exit code ${code}` : `signal ${signal} (time limit ${timeoutMs} ms)`;
      const said = `${output.stderr}${output.stdout}`.trim().slice(-2_000);
      reject(new LabError('CommandFailed', `${command} ${args.join(' ')}: ${end}\n${said}`));
    });
  });
}
