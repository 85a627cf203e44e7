/** Sends a file, or one range of it, to the request that is held for the task. Nothing of it is kept here. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { download } from '../../../shared/operations/filesystem/download.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OpenFile, TakeChunk } from '../../ssh/open-file.ts';
import type { OperationContext } from '../operation-context.ts';
import { resolveRange } from './byte-range.ts';
import { hidingRetries } from './transfer-broken.ts';

type Context = Pick<OperationContext, 'files' | 'system' | 'signal' | 'exchange'>;
type Input = InputOf<typeof download>;
type Result = ResultOf<typeof download>;

export async function handleDownload(input: Input, context: Context): Promise<Result> {
  const { files, signal, exchange, system } = context;
  // The API is on its way while the file is opened.
  exchange.announce();
  if (input.range === undefined) {
    const { maxOpsFileSizeBytes } = system.dataOperation;
    const sent = await files.withWholeFile(
      input.path,
      maxOpsFileSizeBytes,
      (file) => send(file, 'whole', (take) => file.stream(take), exchange),
      { signal },
    );
    if (sent !== null) return sent;
  }
  const said = `download: cannot open '${input.path}' for reading`;
  return files.withOpenFile(input.path, (file) => sendFile(file, input, context), { signal, said, isOnce: true });
}

async function sendFile(file: OpenFile, { range, ifRange }: Input, { exchange, system }: Context): Promise<Result> {
  const bytesMax = system.dataOperation.maxOpsFileSizeBytes;
  const isUnchanged = ifRange === undefined || ifRange === headersOf(file)['last-modified'];
  const { sizeBytes } = file;
  const part = resolveRange(isUnchanged ? range : undefined, sizeBytes);
  if (part === 'unsatisfiable') {
    await exchange.refuse({ status: 416, headers: { ...headersOf(file), 'content-range': `bytes */${sizeBytes}` } });
    throw new BrokerError('RangeNotSatisfiable', `The file has ${sizeBytes} bytes.`);
  }
  const { start, lengthBytes } = part === 'whole' ? { start: 0, lengthBytes: sizeBytes } : part;
  if (lengthBytes > bytesMax) throw tooLarge(bytesMax);
  if (sizeBytes === 0) return await sendUnsized(file, bytesMax, exchange);
  return await send(file, part, (take) => file.stream(start, lengthBytes, take), exchange);
}

type Described = Pick<OpenFile, 'sizeBytes' | 'mtime'>;

function headersOf({ mtime }: Pick<OpenFile, 'mtime'>): Record<string, string> {
  return { 'accept-ranges': 'bytes', 'last-modified': new Date(mtime * 1_000).toUTCString() };
}

/** Sends the part of the file that `stream` hands over. */
async function send(
  file: Described,
  part: 'whole' | { start: number; lengthBytes: number },
  stream: (take: TakeChunk) => Promise<number>,
  exchange: Context['exchange'],
): Promise<Result> {
  const { sizeBytes } = file;
  const isPart = part !== 'whole';
  const { start, lengthBytes } = isPart ? part : { start: 0, lengthBytes: sizeBytes };
  const extent = isPart ? { 'content-range': `bytes ${start}-${start + lengthBytes - 1}/${sizeBytes}` } : {};
  const headers = { ...headersOf(file), ...extent, 'content-length': lengthBytes };
  await exchange.send({ status: isPart ? 206 : 200, headers }, async (take) => {
    const sentBytes = await hidingRetries(stream(take));
    if (sentBytes < lengthBytes) throw new BrokerError('TransferBroken', 'The file became shorter while it was read.');
  });
  return { sizeBytes, sentBytes: lengthBytes };
}

/** A file that says it is empty: it is, or it does not know its size, as those in /proc, and is read to its end first. */
async function sendUnsized(file: OpenFile, bytesMax: number, exchange: Context['exchange']): Promise<Result> {
  const data = await file.read(0, Math.min(bytesMax, unsizedBytesMax) + 1);
  if (data.length > Math.min(bytesMax, unsizedBytesMax)) throw tooLarge(Math.min(bytesMax, unsizedBytesMax));
  await exchange.send({ status: 200, headers: { ...headersOf(file), 'content-length': data.length } }, async (take) => {
    if (data.length > 0) await take(data);
  });
  return { sizeBytes: data.length, sentBytes: data.length };
}

/** Largest file of unknown size, which is held in memory. */
const unsizedBytesMax = 16 * 1024 * 1024;

function tooLarge(bytesMax: number): BrokerError {
  return new BrokerError(
    'OutputTooLarge',
    `File to download is too large. At most ${bytesMax} bytes are sent at a time: ask for ranges, or use the transfer routes.`,
  );
}
