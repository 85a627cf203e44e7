/** Sends a signal to the remote process of an exec channel (RFC 4254 section 6.9). */
import type { Client, ClientChannel } from 'ssh2';

interface Channel {
  readonly outgoing: { readonly id: number; readonly state: string };
}
interface Protocol {
  signal(channel: number, name: string): void;
}

/**
 * ssh2's own `stream.signal()` silently does nothing once standard input was ended, as it always is here, so this goes
 * to its protocol object (1.17.0). OpenSSH ≥ 7.9 delivers the signal to the process group of the command.
 */
export function signalChannel(client: Client, stream: ClientChannel, name: 'TERM' | 'KILL'): void {
  const { outgoing } = stream as unknown as Channel;
  if (outgoing.state !== 'open' && outgoing.state !== 'eof') return;
  (client as unknown as { _protocol: Protocol })._protocol.signal(outgoing.id, name);
}
