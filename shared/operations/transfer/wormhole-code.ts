/** The code by which the client of an upload through Magic Wormhole offers its file. Whoever has it could take the file. */
import { BrokerError } from '../../errors/broker-error.ts';
import { createSealer } from '../../platform/sealing.ts';
import { sentCodePlace } from '../../tasks/wormhole-entry.ts';
import type { AdmittingSystem } from '../operation.ts';

/** A nameplate, which is a number, and what its sender chose. */
const wormholeCode = /^\d{1,18}-[!-~]{1,256}$/;

/** InvalidRequest where the system takes files by such codes, and there is none, or one that cannot be. */
export function admitWormholeCode(
  { transferDirectives }: { transferDirectives: { wormholeCode?: string | null | undefined } },
  { dataOperation }: Pick<AdmittingSystem, 'dataOperation'>,
): void {
  if (dataOperation.dataTransfer?.type !== 'wormhole') return;
  const { wormholeCode: code } = transferDirectives;
  if (code != null && wormholeCode.test(code)) return;
  const message =
    code == null
      ? 'is required: the code that `wormhole send` shows'
      : 'must be a code as `wormhole send` shows it, such as 7-crossover-clockwork';
  throw new BrokerError('InvalidRequest', `Invalid request: \`transferDirectives.wormholeCode\` ${message}.`, {
    fields: [{ location: 'body', name: 'transferDirectives', pointer: '/transferDirectives/wormholeCode', message }],
  });
}

/** The code as it is kept: sealed for the workers of the system, or none where nobody needs it. */
export function keptWormholeCode(
  code: string | null | undefined,
  { name, dataOperation: { dataTransfer } }: Pick<AdmittingSystem, 'name' | 'dataOperation'>,
): string | null {
  if (code == null || dataTransfer?.type !== 'wormhole') return null;
  const sealer = createSealer(dataTransfer.sealingKeys);
  if (sealer === null) throw new BrokerError('Internal', 'The wormhole of the system has no sealing key.');
  return sealer.sealAlike(code, sentCodePlace(name));
}
