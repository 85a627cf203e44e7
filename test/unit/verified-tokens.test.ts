/** What is remembered of tokens: bounded, and nothing once the keys of the issuer are others. */
import { describe, expect, it } from 'vitest';
import type { IssuerKeys } from '../../api/auth/issuer-keys.ts';
import { createVerifiedTokens, tokenKey, type VerifiedToken } from '../../api/auth/verified-tokens.ts';

const issuer = { now: 1 };
const keys = { version: () => issuer.now } as IssuerKeys;
const principal = { issuer: 'i', subject: 's', username: 'alice', client: null };
const token = (keysVersion = issuer.now): VerifiedToken => ({
  ...{ principal, binding: { kind: 'bearer' } as unknown as VerifiedToken['binding'] },
  ...{ untilMs: 1_000, keys, keysVersion },
});

describe('verified tokens', () => {
  it('are remembered up to a number; the one not used for longest goes first', () => {
    const verified = createVerifiedTokens(3);
    for (const name of ['a', 'b', 'c']) verified.remember(name, token());
    expect(verified.find('a', 0)).toBeDefined();
    verified.remember('d', token());
    expect(verified.size).toBe(3);
    expect(['a', 'b', 'c', 'd'].map((name) => verified.find(name, 0) !== undefined)).toEqual([true, false, true, true]);
    for (let n = 0; n < 1_000; n += 1) verified.remember(`more ${n}`, token());
    expect(verified.size).toBe(3);
  });

  it('are dropped when the keys of their issuer change, and when their time is over', () => {
    const verified = createVerifiedTokens(3);
    verified.remember('a', token());
    verified.remember('b', token());
    expect(verified.find('b', 1_000)).toBeUndefined();
    expect(verified.find('a', 999)).toBeDefined();
    issuer.now += 1;
    expect(verified.find('a', 999)).toBeUndefined();
    expect(verified.size).toBe(0);
  });

  it('are not kept themselves', () => {
    expect(tokenKey('e30.e30.signature')).not.toContain('signature');
  });
});
