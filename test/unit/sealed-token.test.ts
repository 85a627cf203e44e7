/** The access token in a task's record: whose it is, which key opens it, and what becomes of work that outlives it. */
import { randomBytes } from 'node:crypto';
import { SignJWT } from 'jose';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { operations } from '../../shared/operations/registry.ts';
import type { Config } from '../../shared/platform/config/config.ts';
import { Secret } from '../../shared/platform/secret.ts';
import { createTokenSealer, type TokenSealer } from '../../shared/tasks/sealed-token.ts';
import type { Attempt } from '../../workers/runtime/task-runner.ts';
import { withUserToken } from '../../workers/runtime/with-user-token.ts';
import { createUserTokens } from '../../workers/ssh/credentials/user-tokens.ts';

const key = (id: string) => ({ id, key: new Secret(randomBytes(32).toString('base64')) });
const [first, second] = [key('k1'), key('k2')];
const sshCredentials: Config['sshCredentials'] = { type: 'ssh-ca', url: 'https://ca.test', maxConnections: 1 };

function sealerWith(...sealingKeys: (typeof first)[]): TokenSealer {
  const sealer = createTokenSealer({ sshCredentials, tokens: { sealingKeys } });
  if (sealer === null) throw new Error('no sealer');
  return sealer;
}

describe('a sealed token', () => {
  it('opens for its own task alone, and not once a byte of it was changed', () => {
    const sealer = sealerWith(first);
    const sealed = sealer.seal('the token', 'one');
    expect(sealed).not.toContain('the token');
    expect(sealer.open(sealed, 'one')).toBe('the token');
    expect(() => sealer.open(sealed, 'other')).toThrow();
    const at = sealed.length - 8;
    const changed = `${sealed.slice(0, at)}${sealed[at] === 'A' ? 'B' : 'A'}${sealed.slice(at + 1)}`;
    expect(() => sealer.open(changed, 'one')).toThrow();
    expect(sealer.seal('the token', 'one')).not.toBe(sealed);
  });

  it('still opens when another key seals, and no more when its own is gone', () => {
    const old = sealerWith(first).seal('the token', 'one');
    const both = sealerWith(second, first);
    expect(both.open(old, 'one')).toBe('the token');
    expect(both.seal('new', 'two')).toMatch(/^k2\./);
    expect(() => sealerWith(second).open(old, 'one')).toThrow('the sealing key k1 is not configured');
  });

  it('is made only where a service wants tokens', () => {
    const keys = { type: 'static-keys', keys: {} } as const;
    const configured = { sshCredentials: keys, tokens: { sealingKeys: [first] } };
    expect(createTokenSealer(configured)).toBeNull();
  });
});

describe('a task with a token', async () => {
  const sealer = sealerWith(first);
  const tokenFor = (seconds: number) =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime(new Date(Date.now() + seconds * 1_000))
      .sign(randomBytes(32));
  const [valid, ended] = await Promise.all([tokenFor(600), tokenFor(-5)]);
  const operation = operations['filesystem.mkdir'] as unknown as Operation;
  const attemptOf = (sealedToken: string | null, entry: object | null = null) =>
    ({
      task: { id: 'one', sealedToken, principal: { username: 'gcalice' } },
      journal: { entry },
      log: pino({ level: 'silent' }),
    }) as unknown as Attempt;
  const tokens = createUserTokens(async () => null);
  const askForToken = withUserToken(async () => tokens.tokenFor('lab', 'gcalice'), tokens, sealer);

  it('has it at hand while it runs, and not after', async () => {
    expect(await askForToken(operation, attemptOf(sealer.seal(valid, 'one')))).toBe(valid);
    await expect(tokens.tokenFor('lab', 'gcalice')).rejects.toMatchObject({ code: 'SshCredentialsRefused' });
    await expect(askForToken(operation, attemptOf(null))).rejects.toMatchObject({ code: 'SshCredentialsRefused' });
  });

  it('that has ended fails with that, but does not say so of work that was begun', async () => {
    const sealed = sealer.seal(ended, 'one');
    await expect(askForToken(operation, attemptOf(sealed))).rejects.toMatchObject({ code: 'TokenExpired' });
    await expect(askForToken(operation, attemptOf(sealed, { phase: 'begun' }))).rejects.toMatchObject({
      code: 'OutcomeUnknown',
      message: expect.stringMatching(/^What was begun goes on by itself\. The access token of the request ended at /),
    });
  });

  it('that no key opens is refused without a word of it', async () => {
    const error: unknown = await askForToken(operation, attemptOf('k9.abc')).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BrokerError);
    expect(error).toMatchObject({ code: 'SshCredentialsRefused' });
  });
});
