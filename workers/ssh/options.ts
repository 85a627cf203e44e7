/** The plain data that describes how to reach one system over SSH; the configuration is mapped onto it by the worker. */

/** How the identity of a host is checked. Lists may be combined; a key that none of them vouches for is refused. */
export type HostKeyPolicy =
  | {
      readonly mode: 'verify';
      /** `ssh-ed25519 AAAA…` lines or `SHA256:…` fingerprints. */
      readonly pinnedKeys?: readonly string[];
      /** Public keys of authorities that sign host certificates, written as the pinned ones. */
      readonly authorities?: readonly string[];
      /** Path of an OpenSSH known_hosts file (hashed names, `[host]:port`, `@revoked`, `@cert-authority`), read when the worker starts. */
      readonly knownHostsFile?: string;
    }
  /** For development only; every start says so in the log. */
  | { readonly mode: 'accept-any' };

/** A jump host: the target is reached by a forwarded TCP channel, logged in with the same user's credential. */
export interface JumpHostOptions {
  readonly host: string;
  readonly port: number;
  readonly hostKeys: HostKeyPolicy;
}

/** One system. All bounds are per worker process. */
export interface SshSystemOptions {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly proxy?: JumpHostOptions;
  readonly hostKeys: HostKeyPolicy;
  /** Longest wait for the TCP connection. */
  readonly connectTimeoutMs: number;
  /** Longest time from TCP connection to a finished login. */
  readonly loginTimeoutMs: number;
  /** Default time of one remote command, and deadline of one file operation. */
  readonly commandTimeoutMs: number;
  /** A connection that nobody used for this long is closed. */
  readonly idleTimeoutMs: number;
  /** Interval of SSH keepalives; three unanswered ones break the connection. */
  readonly keepAliveMs: number;
  /** Connections to this system at a time, all users together. */
  readonly connectionsMax: number;
  /** Default 4. */
  readonly connectionsPerUserMax?: number;
  /** Channels in flight on one connection, SFTP included. Default 8, which suits sshd's default MaxSessions 10. */
  readonly channelsPerConnectionMax?: number;
  /** Longest wait for a channel slot before `SshNoChannel`. Default 10,000 ms. */
  readonly slotWaitMs?: number;
  /** Requests of one user that may wait for a slot at a time; further ones get `SshNoChannel`. Default 256. */
  readonly slotWaitersMax?: number;
  /** Deadline of one file operation. Default: commandTimeoutMs. */
  readonly fileTimeoutMs?: number;
  /** Most bytes of output one command may produce when its caller states no bound. Default 5 MiB. */
  readonly outputBytesMax?: number;
}
