/**
 * One login on a connection of its own, outside the pools of the users: what a probe needs, which must neither take a
 * user's place nor find a connection alive that was opened while the host was still well.
 */
import type { Logger } from 'pino';
import { Connection } from './connection.ts';
import type { LentChannel } from './connection-pool.ts';
import type { SshCredential } from './credentials/credential-provider.ts';
import { type LoginRoute, logIn } from './log-in.ts';
import { type ChannelPurpose, openChannelOn } from './open-channel.ts';
import { createRemoteFiles, type RemoteFiles } from './remote-files.ts';
import { createRemoteShell, type RemoteShell, type ShellDefaults } from './remote-shell.ts';
import { createWarmChannels } from './warm-channels.ts';

/** A host as one user, for as long as its connection is open. */
export interface FreshHost {
  readonly username: string;
  readonly shell: RemoteShell;
  readonly files: RemoteFiles;
  /** Ends the connection and what runs on it. */
  close(): void;
}

export interface FreshLogin {
  route: LoginRoute;
  username: string;
  credential: SshCredential;
  /** For the login, and the default for each command and file operation. */
  timeoutMs: number;
  log: Logger;
  observe?: ShellDefaults['observe'];
}

const channelsMax = 8;
const outputBytesMax = 64 * 1024;

/** Throws HostKeyMismatch, SshCredentialsRefused or SshUnavailable; the last one also when `timeoutMs` has passed. */
export async function logInFresh(login: FreshLogin): Promise<FreshHost> {
  const { username, credential, timeoutMs, log, observe } = login;
  const route: LoginRoute = {
    ...login.route,
    connectTimeoutMs: timeoutMs,
    loginTimeoutMs: timeoutMs,
    // In line behind the users' logins a busy host would look like a broken one.
    handshakes: { acquire: async () => () => undefined },
  };
  const client = await logIn(route, username, credential, AbortSignal.timeout(timeoutMs));
  const connection = new Connection(username, client, channelsMax, credential.expiresAt);
  const channels = {
    async open(_username: string, purpose: ChannelPurpose): Promise<LentChannel> {
      const opened = await openChannelOn(connection, purpose);
      if (!('stream' in opened)) throw opened.error;
      return { ...opened, connection, park: () => undefined, release: () => undefined };
    },
    hasSpare: () => false,
  };
  const warm = createWarmChannels(channels, username, {
    channelsMax: 1,
    idleTimeoutMs: timeoutMs,
    openTimeoutMs: timeoutMs,
    onDropped: () => undefined,
  });
  return {
    username,
    shell: createRemoteShell(channels, username, {
      ...{ timeoutMs, outputBytesMax, log },
      ...(observe ? { observe } : {}),
    }),
    files: createRemoteFiles(warm, { timeoutMs }),
    close: () => connection.close(),
  };
}
