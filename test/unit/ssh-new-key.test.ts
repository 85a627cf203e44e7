import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { privateKeyText } from '../../shared/ssh/openssh-key.ts';
import { createKey } from '../../workers/ssh/credentials/new-key.ts';
import { parsePrivateKey } from '../../workers/ssh/credentials/private-key.ts';

/** A key pair whose public half begins with a zero byte, as one in 256 does. */
function keyWithLeadingZero(): { x: Buffer; d: Buffer } {
  for (;;) {
    const { x = '', d = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
    const publicKey = Buffer.from(x, 'base64url');
    if (publicKey[0] === 0) return { x: publicKey, d: Buffer.from(d, 'base64url') };
  }
}

it('every new key can be read and signs what it can verify', () => {
  for (let made = 0; made < 300; made += 1) {
    const key = createKey();
    const data = Buffer.from('signed');
    const signature = key.sign(data);
    expect(key.type).toBe('ssh-ed25519');
    expect(signature).toBeInstanceOf(Buffer);
    expect(key.verify(data, signature)).toBe(true);
  }
});

it('a public key that begins with a zero byte is kept whole, and OpenSSH reads the same one', () => {
  const { x, d } = keyWithLeadingZero();
  const text = privateKeyText(x, d);
  const ours = parsePrivateKey(text, undefined, 'the key').getPublicSSH();
  expect(ours.subarray(-32).equals(x)).toBe(true);
  const folder = mkdtempSync(join(tmpdir(), 'goldcrest-key-'));
  try {
    const file = join(folder, 'key');
    writeFileSync(file, text);
    chmodSync(file, 0o600);
    const shown = execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
    expect(shown.trim().split(' ')[1]).toBe(ours.toString('base64'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
