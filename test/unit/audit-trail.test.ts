/** The chain of an audit trail: what was done to a line is found, and what cannot be kept is known. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { runAudit } from '../../cli/audit.ts';
import { createLineFiles, createLinesTo } from '../../shared/audit/audit-lines.ts';
import { createChain } from '../../shared/audit/chain.ts';
import { auditedWords } from '../../shared/audit/command-words.ts';
import type { AuditFacts } from '../../shared/audit/record.ts';
import { createAuditTrail, type StoredLine } from '../../shared/audit/trail.ts';
import { verifyLines } from '../../shared/audit/verify.ts';
import { Secret } from '../../shared/platform/secret.ts';

const folder = mkdtempSync(join(tmpdir(), 'goldcrest-audit-'));
afterAll(() => rmSync(folder, { recursive: true }));
const log = pino({ level: 'silent' });
const facts: AuditFacts = { kind: 'request', action: 'filesystem.rm', decision: 'allowed', target: { path: '/tmp/x' } };
const key = new Secret(Buffer.alloc(32, 7).toString('base64'));

function chainOf(writer: string, count: number, of: Secret | null = null) {
  const next = createChain(writer, of);
  return Array.from({ length: count }, (_, at) => next({ ...facts, status: 200 + at }, 1_700_000_000_000 + at));
}

function verify(texts: readonly string[], over: Partial<Parameters<typeof verifyLines>[1]> = {}) {
  const lines = texts.map((text, at) => ({ place: String(at + 1), text }));
  return verifyLines(lines, { key: null, heads: null, mayBeginLate: false, ...over });
}

describe('a chain', () => {
  const lines = chainOf('api-1', 20);
  const texts = lines.map(({ text }) => text);

  it('is whole as it was written, alone and among others', () => {
    expect(verify(texts)).toMatchObject({
      records: 20,
      problems: [],
      chains: [{ writer: 'api-1', first: 1, last: 20 }],
    });
    const others = chainOf('worker-2', 20).map(({ text }) => text);
    expect(verify(texts.flatMap((text, at) => [text, others[at] ?? ''])).problems).toEqual([]);
  });

  it('shows a changed character, wherever it is', () => {
    const whole = texts.join('\n');
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
        fc.pre(whole[at] !== character);
        const changed = whole.slice(0, at) + character + whole.slice(at + 1);
        expect(verify(changed.split('\n')).problems).not.toEqual([]);
      }),
    );
  });

  it('shows a removed, a moved, a repeated and a cut line', () => {
    fc.assert(
      fc.property(fc.nat(18), fc.nat(19), (at, other) => {
        const without = texts.toSpliced(at, 1);
        expect(verify(without).problems).not.toEqual([]);
        if (at !== other) expect(verify(without.toSpliced(other, 0, texts[at] ?? '')).problems).not.toEqual([]);
        expect(verify(texts.toSpliced(other, 0, texts[at] ?? '')).problems).not.toEqual([]);
        expect(verify(texts.toSpliced(at, 1, (texts[at] ?? '').slice(0, -1 - other))).problems).not.toEqual([]);
      }),
    );
  });

  it('shows lines missing at its end where the end is known, and a writer of whom nothing is left', () => {
    const heads = new Map([['api-1', { seq: 20, hash: lines[19]?.hash ?? '', at: 1 }]]);
    expect(verify(texts, { heads }).problems).toEqual([]);
    expect(verify(texts.slice(0, 19), { heads }).problems[0]).toMatch(/records after 19 are missing/);
    expect(verify([], { heads }).problems[0]).toMatch(/all of its records are missing/);
    const other = new Map([['api-1', { seq: 20, hash: 'f'.repeat(64), at: 1 }]]);
    expect(verify(texts, { heads: other }).problems[0]).toMatch(/not the one Redis knows/);
  });

  it('may begin late only where the store drops the oldest', () => {
    expect(verify(texts.slice(3)).problems[0]).toMatch(/records before 4 are missing/);
    expect(verify(texts.slice(3), { mayBeginLate: true }).problems).toEqual([]);
  });

  it('cannot be made anew without its key', () => {
    const keyed = chainOf('api-1', 3, key).map(({ text }) => text);
    expect(verify(keyed, { key }).problems).toEqual([]);
    expect(verify(texts.slice(0, 3), { key }).problems).toHaveLength(3);
    expect(verify(keyed).problems).toHaveLength(3);
  });
});

describe('goldcrest audit verify', () => {
  it('reads files that followed each other, and says which line was changed', async () => {
    const directory = join(folder, 'files');
    const files = createLineFiles(directory, 'api-1', 600);
    for (const { text } of chainOf('api-1', 6)) files.write(text);
    files.close();
    const names = readdirSync(directory).sort();
    expect(names.length).toBeGreaterThan(2);
    const printed: string[] = [];
    const io = { env: {}, print: (line: string) => void printed.push(line), complain: () => {} };
    expect(await runAudit(['verify', directory], io)).toBe(0);
    expect(printed.at(-1)).toMatch(/6 records of 1 processes: whole/);
    const file = join(directory, names[1] ?? '');
    writeFileSync(file, readFileSync(file, 'utf8').replace('/tmp/x', '/tmp/y'));
    expect(await runAudit(['verify', directory], io)).toBe(1);
    expect(printed.join('\n')).toContain(`BROKEN ${file}:1: was changed`);
  });
});

describe('a trail on standard output', () => {
  it('is whole among the lines of the log, and what is missing there is found', async () => {
    const written: string[] = [];
    const stdout = { write: (text: string) => void written.push(text) };
    const lines = createLinesTo(stdout);
    const trail = createAuditTrail({ writer: 'w', key: null, lines, store: { append: async () => true }, log });
    const logged = pino({}, stdout);
    for (let n = 0; n < 5; n += 1) {
      logged.info({ n }, 'a line of the log');
      trail.append(facts);
    }
    await trail.close();
    const file = join(folder, 'stdout.log');
    const printed: string[] = [];
    const io = { env: {}, print: (line: string) => void printed.push(line), complain: () => {} };
    const verdict = (texts: readonly string[]) => {
      writeFileSync(file, texts.join(''));
      return runAudit(['verify', file, '--among-log'], io);
    };
    expect(await verdict(written)).toBe(0);
    expect(printed.at(-1)).toBe('files: 7 records of 1 processes: whole');
    const at = written.findIndex((text) => text.startsWith('{"writer":"w","seq":3'));
    expect(await verdict(written.toSpliced(at, 1))).toBe(1);
    // A record that is made to look as a line of the log is one that is missing.
    expect(await verdict(written.with(at, (written[at] ?? '').replace('{"writer"', '{"level"')))).toBe(1);
    expect(await runAudit(['verify', file], io)).toBe(1);
  });
});

describe('a trail', () => {
  it('keeps its order in a store that fails now and then, and leaves nothing out', async () => {
    const kept: StoredLine[] = [];
    let calls = 0;
    const store = {
      // As the script does it: nothing twice, and nothing after a gap.
      async append(line: StoredLine, isFirst: boolean) {
        calls += 1;
        const call = calls;
        await new Promise((resolve) => setImmediate(resolve));
        const last = kept.at(-1)?.seq ?? 0;
        if (call % 7 === 0) throw new Error('away');
        if (line.seq <= last) return true;
        if (line.seq !== last + 1 && !isFirst) return false;
        kept.push(line);
        if (call % 5 === 0) throw new Error('the answer was lost');
        return true;
      },
    };
    const trail = createAuditTrail({ writer: 'w', key: null, lines: null, store, log });
    for (let n = 0; n < 30; n += 1) trail.append(facts);
    await trail.close();
    await vi.waitFor(() => expect(kept).toHaveLength(32), { timeout: 20_000 });
    expect(verify(kept.map(({ text }) => text))).toMatchObject({ records: 32, problems: [] });
    expect(calls).toBeGreaterThan(32);
  });

  it('refuses changes while a line cannot be written, and writes all of them once it can', async () => {
    const written: string[] = [];
    let isFull = false;
    const lines = {
      write(text: string) {
        if (isFull) throw new Error('ENOSPC');
        written.push(text);
      },
      close: () => {},
    };
    const failures: string[] = [];
    const onFailure = (place: string): void => void failures.push(place);
    const store = { append: async () => true };
    const trail = createAuditTrail({ writer: 'w', key: null, lines, store, log, onFailure });
    trail.requireWritable();
    isFull = true;
    trail.append(facts);
    trail.append(facts);
    expect(failures).toEqual(['file', 'file']);
    expect(() => trail.requireWritable()).toThrow('The audit trail cannot be written');
    isFull = false;
    await vi.waitFor(() => trail.requireWritable(), { timeout: 5_000 });
    expect(verify(written)).toMatchObject({ records: 3, problems: [] });
  });
});

describe('a command in a record', () => {
  it('shows argv without values of variables and without what signs an address', () => {
    const words = [
      'sh',
      '-c',
      'exec "$@"',
      'A=hunter2',
      'rm',
      '--',
      '/tmp/a=b',
      'https://s3/x?X-Amz-Signature=hunter2',
    ];
    expect(auditedWords(words)).toEqual(['sh', '-c', 'exec "$@"', 'A=…', 'rm', '--', '/tmp/a=b', 'https://s3/x?…']);
    const variables = `A='hunter2',B='it'"'"'s hunter2',C=hunter2,GOLDCREST_KEY=1`;
    expect(auditedWords(['qsub', '-v', variables])[2]).not.toMatch(/hunter|it|s /);
    expect(auditedWords(['cat', 'x'.repeat(2_000)])[1]).toMatch(/^x{128}… \(2000 characters, SHA-256 [0-9a-f]{64}\)$/);
  });
});
