/** Secrets for the store: sealed under a key with an id, so that keys can be changed. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSealer } from '../../shared/platform/sealing.ts';
import { Secret } from '../../shared/platform/secret.ts';

const keyOf = (id: string) => ({ id, key: new Secret(randomBytes(32).toString('base64')) });
const [old, young] = [keyOf('2025'), keyOf('2026')];
const sealer = (...keys: (typeof old)[]) => {
  const made = createSealer(keys);
  if (made === null) throw new Error('no key');
  return made;
};

describe('a sealed secret', () => {
  it('names its key, hides the text, and is another one each time', () => {
    const [first, second] = [sealer(old).seal('hunter2', 'task 1'), sealer(old).seal('hunter2', 'task 1')];
    expect(first).toMatch(/^2025\.[\w-]+$/);
    expect(first).not.toBe(second);
    expect(Buffer.from(first.split('.')[1] ?? '', 'base64url').includes('hunter2')).toBe(false);
  });

  it('is the same again where it is to be compared, for its place and its key alone', () => {
    const alike = (text: string, place: string, key = old) => sealer(key).sealAlike(text, place);
    const one = alike('hunter2', 'lab');
    expect(one).toBe(alike('hunter2', 'lab'));
    expect(sealer(old).open(one, 'lab')).toBe('hunter2');
    const others = [alike('hunter3', 'lab'), alike('hunter2', 'other'), alike('hunter2', 'lab', young)];
    expect(new Set([one, ...others].map((sealed) => sealed.split('.')[1]?.slice(0, 16))).size).toBe(4);
  });

  it('opens after another key has taken its place, for as long as its own is configured', () => {
    const sealed = sealer(old).seal('hunter2', 'task 1');
    const rotated = sealer(young, old);
    expect(rotated.open(sealed, 'task 1')).toBe('hunter2');
    expect(rotated.seal('x', 'task 1')).toMatch(/^2026\./);
    expect(() => sealer(young).open(sealed, 'task 1')).toThrow('2025 is not configured');
  });

  it('opens for its place only, and not when a byte was changed', () => {
    const sealed = sealer(old).seal('hunter2', 'task 1');
    expect(() => sealer(old).open(sealed, 'task 2')).toThrow();
    const bytes = Buffer.from(sealed.slice('2025.'.length), 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => sealer(old).open(`2025.${changed.toString('base64url')}`, 'task 1')).toThrow();
    }
    expect(() => sealer({ ...young, id: '2025' }).open(sealed, 'task 1')).toThrow();
  });

  it('is none without a key', () => {
    expect(createSealer([])).toBeNull();
  });
});
