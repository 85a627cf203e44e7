/** What the programs over trees tell at their end, and what that makes of the task. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { moverFailure } from '../script-mover.ts';
import type { WorkEnd } from '../transfer-journal.ts';
import { entriesFailed } from './stream-programs.ts';
import { treeNamesMax } from './walk-program.ts';

export interface TreeReport {
  /** Counts by name, as the last of the programs has them, see walk-program.ts. */
  counts: ReadonlyMap<string, number>;
  /** As the program before it had them: of what was unpacked, where it was placed after that. */
  unpacked: ReadonlyMap<string, number>;
  failures: { path: string; reason: string }[];
  copiedPaths: string[];
  skippedPaths: string[];
  /** Of what went through the store; null where nothing did. */
  sha256: string | null;
  /** Bytes of it, and the ETag of each part in order, where this end wrote it. */
  sizeBytes: number;
  etags: string[];
}

/** Names told in one message. */
const toldMax = 5;

function namesOf(stdout: string, kind: string): string[][] {
  const lines = [...stdout.matchAll(new RegExp(`^names ${kind} ([0-9a-f]*)(?: (.*))?$`, 'gm'))];
  return lines
    .slice(0, treeNamesMax)
    .map(([, hex = '', rest = '']) => [Buffer.from(hex, 'hex').toString(), rest.trim()]);
}

function countsOf(stdout: string, kind: string): Map<string, number> {
  const lines = stdout.matchAll(new RegExp(`^${kind} ([a-z-]+) (\\d+)$`, 'gm'));
  return new Map([...lines].map(([, name = '', count]) => [name, Number(count)]));
}

function etagsOf(stdout: string): string[] {
  const etags: string[] = [];
  for (const [, number, etag = ''] of stdout.matchAll(/^part (\d+) (\S+)$/gm)) etags[Number(number)] = etag;
  return etags;
}

export function parseTreeReport({ stdout }: Pick<WorkEnd, 'stdout'>): TreeReport {
  return {
    counts: countsOf(stdout, 'facts'),
    unpacked: countsOf(stdout, 'facts.unpacked'),
    failures: namesOf(stdout, 'failure').map(([path = '', reason = '']) => ({ path, reason })),
    copiedPaths: namesOf(stdout, 'copied').map(([path = '']) => path),
    skippedPaths: namesOf(stdout, 'skipped').map(([path = '']) => path),
    sha256: /^sha256 ([0-9a-f]{64})$/m.exec(stdout)?.[1] ?? null,
    sizeBytes: Number(/^size (\d+)$/m.exec(stdout)?.[1] ?? 0),
    etags: etagsOf(stdout),
  };
}

/** The report of a good end. Throws TransferFailed that names entries that failed, and what a mover fails with. */
export function reportOf(end: WorkEnd, path: string): TreeReport {
  const report = parseTreeReport(end);
  if (end.exitCode === 0) return report;
  if (end.exitCode !== entriesFailed) throw moverFailure(end, path);
  const count = failuresOf(report);
  const told = report.failures.slice(0, toldMax).map(({ path: name, reason }) => `'${name}' (${reason})`);
  const more = count > told.length ? `, and ${count - told.length} more` : '';
  const which = `${count} ${count === 1 ? 'entry' : 'entries'} failed: ${told.join(', ')}${more}`;
  throw new BrokerError('TransferFailed', `The transfer of ${path} failed: ${which}. See \`skipFailures\`.`);
}

export function failuresOf({ counts, unpacked }: TreeReport): number {
  return (counts.get('failures') ?? 0) + (unpacked.get('failures') ?? 0);
}
