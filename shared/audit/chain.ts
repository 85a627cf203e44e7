/**
 * The chain: each record holds the hash of the one before it, and its line ends in its own. A line that is changed,
 * removed, moved or cut no longer fits. With a key the hashes are HMACs, which nobody makes without it.
 */
import { createHmac, hash as digestOf } from 'node:crypto';
import type { Secret } from '../platform/secret.ts';
import { type AuditFacts, type AuditRecord, auditRecord, recordOf } from './record.ts';

/** `prev` of a chain's first record. */
export const genesis = '0'.repeat(64);

/** Base64 of 32 bytes or more; null: hashes without a key. */
export type ChainKey = Secret | null;

export interface ChainedLine {
  seq: number;
  hash: string;
  /** One line of JSON, without its end. */
  text: string;
}

/** SHA-256 of the line without its hash, in hexadecimal. */
function hashOf(body: string, key: Buffer | null): string {
  return key === null ? digestOf('sha256', body, 'hex') : createHmac('sha256', key).update(body).digest('hex');
}

function bytesOf(key: ChainKey): Buffer | null {
  return key === null ? null : Buffer.from(key.reveal(), 'base64');
}

/** The chain of one writer; to be used by one process, once. */
export function createChain(writer: string, key: ChainKey): (facts: AuditFacts, atMs: number) => ChainedLine {
  const keyBytes = bytesOf(key);
  let seq = 0;
  let prev = genesis;
  return (facts, atMs) => {
    seq += 1;
    const body = JSON.stringify(recordOf(facts, { writer, seq, prev, time: new Date(atMs).toISOString() }));
    prev = hashOf(body, keyBytes);
    return { seq, hash: prev, text: `${body.slice(0, -1)},"hash":"${prev}"}` };
  };
}

const lineEnd = /,"hash":"([0-9a-f]{64})"\}$/;

export type ReadLine = { record: AuditRecord; hash: string } | { problem: string };

/** A line as a record, its hash checked; what comes before it in the chain is not looked at. */
export function createLineReader(key: ChainKey): (text: string) => ReadLine {
  const keyBytes = bytesOf(key);
  return (text) => {
    const end = lineEnd.exec(text);
    if (end === null) return { problem: 'is no whole record' };
    const body = `${text.slice(0, end.index)}}`;
    const [, hash = ''] = end;
    if (hashOf(body, keyBytes) !== hash) return { problem: 'was changed, or is of another key' };
    const record = recordIn(body);
    return record === null ? { problem: 'is no record of an audit trail' } : { record, hash };
  };
}

function recordIn(body: string): AuditRecord | null {
  try {
    return auditRecord.parse(JSON.parse(body));
  } catch {
    return null; // whatever is wrong with it, it is none
  }
}

/** The record of a line that was checked before, or is to be shown as it is. Throws where it is none. */
export function parseLine(text: string): AuditRecord & { hash: string } {
  return auditRecord.extend({ hash: auditRecord.shape.prev }).parse(JSON.parse(text));
}
