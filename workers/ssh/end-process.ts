/** Ends the remote process of an exec channel before its time. */
import { signalChannel } from './channel-signal.ts';
import type { LentChannel } from './connection-pool.ts';

const lastWaitMs = 1_000;

/** SIGTERM now, SIGKILL after `killAfterMs`, and a second later `giveUp`. What it returns ends the waiting for that. */
export function endProcess(
  { stream, connection }: Pick<LentChannel, 'stream' | 'connection'>,
  killAfterMs: number,
  giveUp: () => void,
): () => void {
  signalChannel(connection.client, stream, 'TERM');
  const timers = [
    setTimeout(() => signalChannel(connection.client, stream, 'KILL'), killAfterMs),
    setTimeout(giveUp, killAfterMs + lastWaitMs),
  ];
  return () => timers.forEach(clearTimeout);
}
