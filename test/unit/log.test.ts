import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createLog } from '../../shared/platform/log.ts';

describe('the log', () => {
  const logged = (write: (log: ReturnType<typeof createLog>) => void): string => {
    let text = '';
    const sink = new Writable({
      write(chunk, _encoding, done) {
        text += String(chunk);
        done();
      },
    });
    write(createLog('info', 'worker', sink));
    return text;
  };

  it('never prints the arguments of a Redis command that failed', () => {
    const error = Object.assign(new Error('WRONGPASS invalid username-password pair'), {
      command: { name: 'hello', args: ['3', 'AUTH', 'broker', 'S3cretPassw0rd'] },
    });
    const text = logged((log) => log.error({ err: error }, 'Redis is away'));
    expect(text).toContain('WRONGPASS');
    expect(text).toContain('"command":"hello"');
    expect(text).not.toContain('S3cretPassw0rd');
  });

  it('takes tokens and keys out wherever they stand', () => {
    const text = logged((log) =>
      log.info({ headers: { authorization: 'Bearer abc' }, user: { password: 'abc' } }, 'x'),
    );
    expect(text).not.toContain('abc');
  });
});
