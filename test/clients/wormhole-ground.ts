/**
 * What Magic Wormhole needs to be tried on one machine: its mailbox server and transit relay on loopback, its command on
 * the login node, and the environment in which a client's own command finds the servers.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { type Daemon, startDaemon } from '../../lab/daemon.ts';
import { portAt, startOnFreePorts } from '../../lab/free-ports.ts';
import { runCommand } from '../../lab/run-command.ts';
import { pythonEnvironment, pythonProgram } from './python.ts';

export interface WormholeGround {
  /** Of `goldcrest.systems.<name>`. */
  readonly section: { command: string; mailbox_url: string; transit_relay: string };
  /** Of a client. */
  readonly environment: Record<string, string>;
  stop(): Promise<void>;
}

export async function startWormholeGround(lab: { folder: string }): Promise<WormholeGround> {
  const folder = mkdtempSync(join(tmpdir(), 'goldcrest-wormhole-'));
  chmodSync(folder, 0o755); // users of the lab run the command that is in it
  const serve = (name: string, words: (port: number) => string[]) =>
    startOnFreePorts(1, async (ports): Promise<{ daemon: Daemon; port: number }> => {
      const port = portAt(ports, 0);
      const daemon = await startDaemon({
        ...{ name: `${name}-${port}`, folder: lab.folder, cwd: folder, command: pythonProgram('twist') },
        args: [name, ...words(port)],
        env: pythonEnvironment(),
        isReady: () => isOpen(port),
        readyTimeoutMs: 30_000,
      });
      return { daemon, port };
    });
  const listens = (port: number): string => `--port=tcp:${port}:interface=127.0.0.1`;
  const [mailbox, relay, command] = await Promise.all([
    serve('wormhole-mailbox', (port) => [listens(port), `--channel-db=${folder}/mailbox.sqlite`]),
    serve('transitrelay', (port) => [listens(port)]),
    layCommand(folder),
  ]);
  const servers = { mailbox_url: `ws://127.0.0.1:${mailbox.port}/v1`, transit_relay: `tcp:127.0.0.1:${relay.port}` };
  const { PATH, ...rest } = pythonEnvironment();
  return {
    section: { command, ...servers },
    environment: {
      ...rest,
      PATH: [dirname(pythonProgram('wormhole')), PATH].join(delimiter),
      WORMHOLE_RELAY_URL: servers.mailbox_url,
      WORMHOLE_TRANSIT_HELPER: servers.transit_relay,
    },
    async stop() {
      await Promise.all([mailbox.daemon.stop(), relay.daemon.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The command where any user can run it: the environment of the clients may lie in a home of root's. */
async function layCommand(folder: string): Promise<string> {
  const libraries = join(dirname(dirname(pythonProgram('python'))), 'lib');
  const [python = ''] = readdirSync(libraries).filter((name) => name.startsWith('python3'));
  const packages = join(folder, 'packages');
  const from = join(libraries, python, 'site-packages');
  // Linked where the file system is the same.
  await runCommand('sh', ['-c', 'cp -al -- "$1" "$2" 2>/dev/null || cp -a -T -- "$1" "$2"', 'sh', from, packages]);
  const path = join(folder, 'bin', 'wormhole');
  mkdirSync(dirname(path));
  const run = `exec /usr/bin/python3 -B -m wormhole "$@"`;
  writeFileSync(path, `#!/bin/sh\nPYTHONPATH='${packages}'\nexport PYTHONPATH\n${run}\n`, { mode: 0o755 });
  return path;
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** `wormhole send` of a client; `code` resolves with what it shows. */
export function sendByWormhole(
  { environment }: WormholeGround,
  what: string | { text: string },
): { child: ChildProcess; code: Promise<string> } {
  const child = spawn(
    pythonProgram('wormhole'),
    ['send', '--hide-progress', ...(typeof what === 'string' ? [what] : ['--text', what.text])],
    {
      env: environment,
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let said = '';
  const code = new Promise<string>((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const shown = /^Wormhole code is: (\S+)$/m.exec(said)?.[1];
      if (shown !== undefined) resolve(shown);
    });
    child.once('close', () => reject(new Error(`wormhole send: ${said}`)));
  });
  return { child, code };
}

/** `wormhole receive` of a client, to its end; its exit code and words. */
export async function receiveByWormhole(
  { environment }: WormholeGround,
  code: string,
  path: string,
): Promise<{ exitCode: number | null; said: string }> {
  const words = ['receive', '--accept-file', '--hide-progress', '--output-file', path];
  const child = spawn(pythonProgram('wormhole'), words, { env: environment, stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stdin?.end(`${code}\n`);
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { exitCode, said };
}
