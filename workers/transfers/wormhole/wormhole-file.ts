/**
 * A file straight between a client and the cluster through Magic Wormhole: a program on the login or data-transfer node
 * (`wormhole-program.ts`) drives its command there, whatever mover the system has, since a code that is given away is known
 * only once the command runs. While it waits for the client nobody waits with it.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { methodUnavailable } from '../../../shared/operations/transfer/transfer-method.ts';
import type { WormholeConfig } from '../../../shared/platform/config/data-transfer.ts';
import { createSealer, type Sealer } from '../../../shared/platform/sealing.ts';
import { givenCodePlace, sentCodePlace } from '../../../shared/tasks/wormhole-entry.ts';
import type { OperationContext } from '../../operations/operation-context.ts';
import { Parked } from '../../operations/parked.ts';
import { clientWaitSeconds, streamFacts, untilClientCame } from '../awaited-client.ts';
import { carryOut, endWork } from '../carry-out.ts';
import { type WorkReport, workName } from '../remote-work.ts';
import { digestOf } from '../script-mover.ts';
import type { TransferJournal } from '../transfer-journal.ts';
import { wormholeProgram } from './wormhole-program.ts';

export interface WormholeWish {
  way: 'send' | 'receive';
  path: string;
  /** Of what is received, beside the file. The command adds `.tmp` to it. */
  partPath: string;
  /** Of what is received: as the client's code is kept in the task's input. */
  sentCode: string | null;
  sha256: string | null;
  /** Null: nobody has said. */
  sizeBytes: number | null;
}

export interface Passed {
  bytes: number;
  sha256: string;
  seconds: number;
}

/** What the command adds to the name of what it has not received whole. */
export const commandSuffix = '.tmp';

/** One look. TransferFailed for what came damaged, broke off or never came; and what `carryOut` throws. */
export async function passThroughWormhole(
  wish: WormholeWish,
  journal: TransferJournal,
  given: OperationContext,
): Promise<Passed | Parked> {
  const transfers = { ...given.system.transfers, mover: 'command' as const };
  const context = { ...given, system: { ...given.system, transfers } };
  const config = wormholeOf(context);
  const sealer = sealerOf(config);
  const known = journal.wormhole ?? { isConnected: false };
  const work = {
    prepare: async () => ({ argv: argvOf(wish, config, context), input: inputOf(wish, sealer, context) }),
    // A code is good once.
    isRepeatable: false,
    account: null,
    totalBytes: wish.sizeBytes,
    noteOf: ({ stdout }: WorkReport) => ({ wormhole: { ...known, isConnected: /^connected$/m.test(stdout) } }),
  };
  const end = await carryOut(work, { ...journal, wormhole: known }, context);
  if (!(end instanceof Parked)) return { sha256: digestOf(end, wish.path), ...streamFacts(end.stdout) };
  const after = (end.options.journal ?? { ...journal, wormhole: known }) as TransferJournal;
  const entry = after.wormhole ?? known;
  const isCodeWanted = wish.way === 'send' && known.sealedCode === undefined && !entry.isConnected;
  const sealedCode = isCodeWanted ? sealer.seal(await readCode(context), givenCodePlace(context.task.id)) : undefined;
  const noted = sealedCode === undefined ? entry : { ...entry, sealedCode };
  const parked = new Parked({ ...end.options, journal: { ...after, wormhole: noted } });
  const wasAside = journal.wormhole !== undefined && !known.isConnected;
  return untilClientCame(parked, { isConnected: entry.isConnected, wasAside }, context);
}

function wormholeOf({ system }: Pick<OperationContext, 'system'>): WormholeConfig {
  const { dataTransfer } = system.dataOperation;
  if (dataTransfer?.type === 'wormhole') return dataTransfer;
  throw methodUnavailable(system);
}

function sealerOf({ sealingKeys }: WormholeConfig): Sealer {
  const sealer = createSealer(sealingKeys);
  if (sealer === null) throw new BrokerError('Internal', 'The wormhole of the system has no sealing key.');
  return sealer;
}

function argvOf({ way, path, partPath, sha256 }: WormholeWish, config: WormholeConfig, context: OperationContext) {
  const servers = [
    ...(config.mailboxUrl === null ? [] : ['--relay-url', config.mailboxUrl]),
    ...(config.transitRelay === null ? [] : ['--transit-helper', config.transitRelay]),
  ];
  const settings = [sha256 ?? '', String(clientWaitSeconds(config.waitTimeoutMs, context))];
  const command = [config.command, ...servers];
  return ['sh', '-c', wormholeProgram, 'goldcrest-wormhole', way, path, partPath, ...settings, ...command];
}

function inputOf({ sentCode }: WormholeWish, sealer: Sealer, { system }: OperationContext): string {
  return sentCode === null ? '' : `${sealer.open(sentCode, sentCodePlace(system.name))}\n`;
}

/** Longest wait for the command to make its code; it asks the mailbox server for a part of it. */
const codeWaitSeconds = 60;

/** Arguments: the directory of the work, tenths of a second to wait. */
const codeProgram = `
cd && cd -- "$1" || exit 1
tenths=$2
until [ -s code ] || [ -e ended ] || [ "$tenths" -eq 0 ]; do sleep 0.1; tenths=$((tenths-1)); done
[ -s code ] && exec cat code
cat err >&2
exit 3
`;

/** The code, as soon as the command has one. Where there will be none, nothing of the work goes on. */
async function readCode(context: OperationContext): Promise<string> {
  const { shell, task, signal } = context;
  const argv = ['sh', '-c', codeProgram, 'sh', workName(task.id), String(10 * codeWaitSeconds)];
  const { exitCode, stdout, stderr } = await shell.run(argv, { signal, timeoutMs: 2_000 * codeWaitSeconds });
  const code = stdout.toString().trim();
  if (exitCode === 0 && code !== '') return code;
  await endWork(context);
  const said = stderr.toString().trim().split('\n').at(-1) || `the command had none within ${codeWaitSeconds} s`;
  throw new BrokerError('TransferFailed', `There is no code to give to the client: ${said}.`);
}
