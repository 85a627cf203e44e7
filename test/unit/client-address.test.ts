/** Which address counts as the client's: one that nobody but a trusted proxy could have named. */
import { expect, it } from 'vitest';
import { createClientAddress } from '../../api/http/client-address.ts';

const behindTwo = createClientAddress(['10.0.0.0/8', '2001:db8::/32']);
const direct = createClientAddress([]);

it.each([
  ['198.51.100.7', '203.0.113.9', '203.0.113.9'],
  ['198.51.100.7', '::ffff:203.0.113.9', '203.0.113.9'],
  [undefined, undefined, undefined],
])('without trusted proxies X-Forwarded-For %j counts for nothing: %j is the client', (forwardedFor, peer, client) => {
  expect(direct({ forwardedFor, peer })).toBe(client);
});

it.each([
  ['a trusted proxy names it', '198.51.100.7', '10.1.1.1', '198.51.100.7'],
  ['two do', '198.51.100.7, 2001:db8::5', '::ffff:10.1.1.1', '198.51.100.7'],
  ['what it claimed itself comes before', '192.0.2.1, 198.51.100.7', '10.1.1.1', '198.51.100.7'],
  ['somebody else names it', '192.0.2.1', '203.0.113.9', '203.0.113.9'],
  ['a proxy names nobody', undefined, '10.1.1.1', '10.1.1.1'],
  ['all are proxies', '10.2.2.2', '10.1.1.1', '10.2.2.2'],
  ['a proxy names what is no address', 'unknown', '10.1.1.1', undefined],
  ['an empty hop is named', '198.51.100.7,', '10.1.1.1', undefined],
])('where %s', (_case, forwardedFor, peer, client) => {
  expect(behindTwo({ forwardedFor, peer })).toBe(client);
});
