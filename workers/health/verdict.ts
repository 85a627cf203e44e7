/** What a probe found out. Only `down` speaks against the service; what could not be asked is no answer. */
import { BrokerError } from '../../shared/errors/broker-error.ts';

export type Verdict =
  | { outcome: 'up'; message: string | null }
  /** `isStuck`: what the probe began on the host may still hang there, so the next one is not to come soon. */
  | { outcome: 'down'; message: string; isStuck: boolean }
  /** `account`: the probe could not log in as itself. `login`: the login node is down, which has a verdict of its own. */
  | { outcome: 'unknown'; because: 'account' | 'login'; message: string };

const messageCharsMax = 300;

/** One line of public text. */
export function shortMessage(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= messageCharsMax ? line : `${line.slice(0, messageCharsMax - 1)}…`;
}

export const up = (message: string | null = null): Verdict => ({ outcome: 'up', message });

export const down = (message: string, isStuck = false): Verdict => ({
  outcome: 'down',
  message: shortMessage(message),
  isStuck,
});

export const withoutAccount = (message: string): Verdict => ({
  outcome: 'unknown',
  because: 'account',
  message: shortMessage(message),
});

/** What the failure of a look at a service says of it. */
export function verdictOfFailure(error: unknown): Verdict {
  if (!(error instanceof BrokerError)) return down(error instanceof Error ? error.message : String(error));
  return down(messageOf(error), error.detail.isGone === false);
}

/** What a failed login says of the login node. One that refuses this account answers, and may well serve others. */
export function verdictOfLogin(error: unknown): Verdict {
  if (!(error instanceof BrokerError)) return verdictOfFailure(error);
  if (error.code === 'SshCredentialsRefused') return withoutAccount(error.message);
  return down(messageOf(error));
}

/** The public sentence, and why a connection failed: the addresses in it are those that the systems' list shows. */
function messageOf({ message, detail }: BrokerError): string {
  return typeof detail.why === 'string' ? `${message} ${detail.why}` : message;
}
