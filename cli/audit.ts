/** `goldcrest audit`: whether the audit trail is whole, and its records as lines. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type CheckedChain, type Head, type PlacedLine, type Verdict, verifyLines } from '../shared/audit/verify.ts';
import { type AuditStore, createAuditStore } from '../shared/platform/audit-store.ts';
import type { Config } from '../shared/platform/config/config.ts';
import { loadConfig } from '../shared/platform/config/load-config.ts';
import { Secret } from '../shared/platform/secret.ts';
import type { CliIo } from './authz.ts';
import { auditHelp } from './help.ts';
import { type Command, exitStatus, runCommands } from './run-commands.ts';
import { withRedis } from './with-redis.ts';

/** Something was changed, removed, moved or cut off. */
const broken = 1;
const readAtOnce = 500;

const options = { 'key-file': { type: 'string' }, 'among-log': { type: 'boolean' } } as const;

/** Resolves to the exit status; prints every failure. */
export function runAudit(args: readonly string[], io: CliIo): Promise<number> {
  const config = () => loadConfig({ env: io.env }).config;
  const commands: Record<string, Command<typeof options>> = {
    verify(paths, { 'key-file': keyFile, 'among-log': isAmongLog = false }) {
      return paths.length > 0 ? verifyFiles(paths, { keyFile, isAmongLog }, io) : verifyConfigured(config(), io);
    },
    export: (words) => (words.length === 0 ? printLines(config(), io) : undefined),
  };
  return runCommands({ help: auditHelp, options, commands }, args, io);
}

interface FilesOptions {
  keyFile: string | undefined;
  /** They are what a process has written to its standard output: lines that begin as no record are those of its log. */
  isAmongLog: boolean;
}

function verifyFiles(paths: readonly string[], { keyFile, isAmongLog }: FilesOptions, io: CliIo): number {
  const isOurs = ({ text }: PlacedLine): boolean => !isAmongLog || text.startsWith('{"writer":');
  const lines = [...linesOf(paths)].filter(isOurs);
  const key = keyFile === undefined ? null : new Secret(readFileSync(keyFile, 'utf8').trim());
  return report(verifyLines(lines, { key, heads: null, mayBeginLate: false }), 'files', io);
}

/** Each file's lines, those of a directory in the order of their names, which is that of the chain. */
function* linesOf(paths: readonly string[]): Generator<PlacedLine, void> {
  for (const file of paths.flatMap(filesIn)) {
    const lines = readFileSync(file, 'utf8').split('\n');
    // A whole file ends in a line feed.
    if (lines.at(-1) === '') lines.pop();
    for (const [at, text] of lines.entries()) yield { place: `${file}:${at + 1}`, text };
  }
}

function filesIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path).filter((name) => name.endsWith('.jsonl'));
  return names.sort().map((name) => join(path, name));
}

/** The stream of Redis, and the directory where there is one; both against what Redis knows of the ends. */
async function verifyConfigured(config: Config, io: CliIo): Promise<number> {
  const { directory, key } = config.audit;
  return withAuditStore(config, async (store) => {
    const heads = await store.heads();
    const kept = await readStream(store);
    const verdicts = [report(verifyLines(kept, { key, heads: atHand(heads, kept), mayBeginLate: true }), 'Redis', io)];
    if (directory !== null && existsSync(directory)) {
      verdicts.push(report(verifyLines(linesOf([directory]), { key, heads, mayBeginLate: false }), directory, io));
    }
    return verdicts.some((status) => status !== exitStatus.done) ? broken : exitStatus.done;
  });
}

/** Of a writer whose last record is no younger than the oldest that is kept there is nothing to compare: it may have left. */
function atHand(heads: ReadonlyMap<string, Head>, kept: readonly PlacedLine[]): Map<string, Head> {
  const [oldest] = kept;
  const oldestAt = oldest === undefined ? -1 : Number(oldest.place.split('-')[0]);
  return new Map([...heads].filter(([, { at }]) => at > oldestAt));
}

async function readStream(store: AuditStore): Promise<PlacedLine[]> {
  const lines: PlacedLine[] = [];
  for (let after = '0-0'; ; ) {
    const part = await store.readOn(null, after, readAtOnce);
    lines.push(...part.map(({ id, text }) => ({ place: id, text })));
    const last = part.at(-1);
    if (last === undefined) return lines;
    after = last.id;
  }
}

async function printLines(config: Config, io: CliIo): Promise<number> {
  return withAuditStore(config, async (store) => {
    for (const { text } of await readStream(store)) io.print(text);
    return exitStatus.done;
  });
}

function withAuditStore(config: Config, work: (store: AuditStore) => Promise<number>): Promise<number> {
  const { keyPrefix } = config.redis;
  const { recordsMax } = config.audit;
  return withRedis(config, (redis) => work(createAuditStore(redis, { keyPrefix, recordsMax })));
}

function report({ records, chains, problems }: Verdict, source: string, io: CliIo): number {
  for (const problem of problems) io.print(`BROKEN ${problem}`);
  for (const chain of chains) io.print(`${chain.writer}: records ${chain.first} to ${chain.last}, ${endOf(chain)}`);
  const verdict = problems.length === 0 ? 'whole' : `${problems.length} problems`;
  io.print(`${source}: ${records} records of ${chains.length} processes: ${verdict}`);
  return problems.length === 0 ? exitStatus.done : broken;
}

function endOf({ isClosed }: CheckedChain): string {
  return isClosed ? 'ended' : 'not ended: it goes on, or its process was killed, or its end was cut off';
}
