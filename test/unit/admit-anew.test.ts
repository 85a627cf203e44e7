/** The second look at where a transfer goes: who cannot tell just now is asked again, and nothing of the client's is thrown away. */
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import { Parked } from '../../workers/operations/parked.ts';
import { admitAnew } from '../../workers/transfers/carry-out.ts';

const log = pino({ level: 'silent' });
const task = { id: 't', attempt: 1, createdAt: 0, deadlineAt: Date.now() + 600_000, isCancelRequested: false };
const failing = (code: ErrorCode) => () => Promise.reject(new BrokerError(code));

it.each<ErrorCode>(['SshUnavailable', 'SshNoChannel', 'CommandTimeout', 'AuthorizationUnavailable'])(
  'is taken again later after %s',
  async (code) => {
    expect(await admitAnew(failing(code), { task, log })).toBeInstanceOf(Parked);
  },
);

it.each<ErrorCode>(['PathNotAllowed', 'Forbidden', 'PermissionDenied'])('ends with %s', async (code) => {
  await expect(admitAnew(failing(code), { task, log })).rejects.toMatchObject({ code });
});

it('is not taken for a task that nobody wants any more, and lets others go on', async () => {
  const unwanted = [
    { ...task, isCancelRequested: true },
    { ...task, deadlineAt: Date.now() - 1 },
  ];
  for (const each of unwanted) expect(await admitAnew(failing('PathNotAllowed'), { task: each, log })).toBeNull();
  expect(await admitAnew(() => Promise.resolve(), { task, log })).toBeNull();
});
