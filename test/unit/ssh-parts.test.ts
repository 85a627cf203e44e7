import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sshString } from '../../shared/ssh/wire.ts';
import { createInProcessHandshakeLimiter } from '../../workers/ssh/handshake-limiter.ts';
import { createPacketReader } from '../../workers/ssh/sftp-wire.ts';

describe('the handshake limiter', () => {
  it('lets so many in per host, others in order as places come free, and hosts do not share places', async () => {
    const limiter = createInProcessHandshakeLimiter(2);
    const { signal } = new AbortController();
    const order: string[] = [];
    const enter = async (name: string, host = 'a') => {
      const release = await limiter.acquire(host, signal);
      order.push(name);
      return release;
    };
    const first = await enter('1');
    await enter('2');
    const [third, fourth] = [enter('3'), enter('4')];
    await enter('other', 'b');
    expect(order).toEqual(['1', '2', 'other']);
    first();
    first();
    await third;
    expect(order).toEqual(['1', '2', 'other', '3']);
    (await third)();
    await fourth;
    expect(order.at(-1)).toBe('4');
  });

  it('takes nobody in who has given up, and loses no place by it', async () => {
    const limiter = createInProcessHandshakeLimiter(1);
    const release = await limiter.acquire('a', new AbortController().signal);
    const abort = new AbortController();
    const waiting = limiter.acquire('a', abort.signal);
    const next = limiter.acquire('a', new AbortController().signal);
    abort.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    release();
    (await next)();
    (await limiter.acquire('a', new AbortController().signal))();
  });
});

describe('SFTP packets', () => {
  it('come out whole and in order however the stream is cut', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(
        fc.array(bytes, { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (packets, cuts) => {
          const stream = Buffer.concat(packets.map((packet) => sshString(Buffer.from(packet))));
          const read: Buffer[] = [];
          const feed = createPacketReader(100, (packet) => read.push(Buffer.from(packet)));
          for (let at = 0, turn = 0; at < stream.length; turn += 1) {
            const length = cuts[turn % cuts.length] ?? 1;
            feed(stream.subarray(at, at + length));
            at += length;
          }
          expect(read).toEqual(packets.map((packet) => Buffer.from(packet)));
        },
      ),
    );
  });

  it('larger than the bound are refused before they are kept', () => {
    const feed = createPacketReader(100, () => undefined);
    expect(() => feed(Buffer.from([0, 0, 1, 0]))).toThrow(RangeError);
  });
});
