/** The trace that a client names: taken where it is one of W3C Trace Context, and passed over otherwise. */
import { expect, it } from 'vitest';
import { traceIdIn, traceparentIn } from '../../shared/tasks/trace-context.ts';

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const good = `00-${trace}-00f067aa0ba902b7-01`;

it('a traceparent of the specification is kept, also one of a later version, without what that adds', () => {
  expect([traceparentIn(good), traceIdIn(good)]).toEqual([good, trace]);
  const later = `cc-${trace}-00f067aa0ba902b7-01-what-the-future-adds`;
  expect([traceparentIn(later), traceIdIn(later)]).toEqual([later.slice(0, 55), trace]);
});

it.each([
  undefined,
  '',
  'nonsense',
  good.toUpperCase(),
  `ff-${trace}-00f067aa0ba902b7-01`,
  `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
  `00-${trace}-0000000000000000-01`,
  `${good}x`,
  ` ${good}`,
])('what is none is not: %s', (header) => {
  expect([traceparentIn(header), traceIdIn(header)]).toEqual([undefined, null]);
});
