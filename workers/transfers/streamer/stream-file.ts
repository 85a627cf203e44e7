/**
 * A file straight between a client and the cluster: a program there (`stream-program.ts`) listens for FirecREST's streamer
 * where the system's mover says, until the client has come and the file has passed. While it waits for the client nobody
 * waits with it.
 */
import { randomBytes } from 'node:crypto';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { methodUnavailable } from '../../../shared/operations/transfer/transfer-method.ts';
import type { StreamerConfig } from '../../../shared/platform/config/data-transfer.ts';
import { createSealer } from '../../../shared/platform/sealing.ts';
import { streamPlace } from '../../../shared/tasks/stream-entry.ts';
import type { OperationContext } from '../../operations/operation-context.ts';
import { Parked } from '../../operations/parked.ts';
import { clientWaitSeconds, streamFacts, untilClientCame } from '../awaited-client.ts';
import { carryOut } from '../carry-out.ts';
import type { WorkReport } from '../remote-work.ts';
import { digestOf } from '../script-mover.ts';
import type { TransferJournal, WorkEnd } from '../transfer-journal.ts';
import { streamProgram } from './stream-program.ts';

export interface StreamWish {
  way: 'send' | 'receive';
  path: string;
  /** Of what is received, beside the file. */
  partPath: string;
  account: string | null;
  /** Null: the client has not said. */
  sizeBytes: number | null;
}

export interface Streamed {
  bytes: number;
  sha256: string;
  seconds: number;
}

const secretBytes = 16;

/** One look. TransferFailed for what came damaged, broke off or never came; and what `carryOut` throws. */
export async function streamFile(
  wish: StreamWish,
  journal: TransferJournal,
  context: OperationContext,
): Promise<Streamed | Parked> {
  const config = streamerOf(context);
  const sealer = createSealer(config.sealingKeys);
  if (sealer === null) throw new BrokerError('Internal', 'The streamer of the system has no sealing key.');
  const place = streamPlace(context.task.id);
  const secret = journal.stream === undefined ? randomBytes(secretBytes).toString('base64url') : null;
  const stream = journal.stream ?? { sealedSecret: sealer.seal(secret ?? '', place), isConnected: false };
  const waitSeconds = clientWaitSeconds(config.waitTimeoutMs, context);
  const limits = [config.inboundTransferBytesMax, waitSeconds].map(String);
  const at = [config.host ?? '0.0.0.0', ...config.portRange.map(String)];
  const argv = ['perl', '-e', streamProgram, wish.way, wish.path, wish.partPath, ...limits, ...at];
  const work = {
    prepare: async () => ({ argv, input: `${sealer.open(stream.sealedSecret, place)}\n` }),
    isRepeatable: true,
    account: wish.account,
    totalBytes: wish.sizeBytes,
    noteOf: ({ stdout }: WorkReport) => ({ stream: { ...stream, ...seenIn(stdout) } }),
  };
  const end = await carryOut(work, { ...journal, stream }, context);
  return end instanceof Parked ? whileWaiting(end, journal, context) : outcomeOf(end, wish.path);
}

function streamerOf({ system }: Pick<OperationContext, 'system'>): StreamerConfig {
  const { dataTransfer } = system.dataOperation;
  if (dataTransfer?.type === 'streamer') return dataTransfer;
  throw methodUnavailable(system);
}

function seenIn(stdout: string): { port?: number; isConnected: boolean } {
  const port = /^listening (\d+)$/m.exec(stdout)?.[1];
  return { ...(port === undefined ? {} : { port: Number(port) }), isConnected: /^connected$/m.test(stdout) };
}

/** It listens before the client can come. */
function whileWaiting(parked: Parked, before: TransferJournal, context: OperationContext): Parked {
  const { stream } = (parked.options.journal ?? before) as TransferJournal;
  if (stream?.port === undefined) return parked;
  const wasAside = before.stream?.port !== undefined && !before.stream.isConnected;
  return untilClientCame(parked, { isConnected: stream.isConnected, wasAside }, context);
}

function outcomeOf(end: WorkEnd, path: string): Streamed {
  return { sha256: digestOf(end, path), ...streamFacts(end.stdout) };
}
