/** Ranges of bytes, as RFC 9110 has them, and the name that a download is offered under. */
import { expect, it } from 'vitest';
import { attachment } from '../../api/http/content-disposition.ts';
import { resolveRange } from '../../workers/operations/filesystem/byte-range.ts';

it.each([
  ['bytes=0-0', 10, { start: 0, lengthBytes: 1 }],
  ['bytes=0-9', 10, { start: 0, lengthBytes: 10 }],
  ['bytes=0-10', 10, { start: 0, lengthBytes: 10 }],
  ['bytes=9-', 10, { start: 9, lengthBytes: 1 }],
  ['bytes=-1', 10, { start: 9, lengthBytes: 1 }],
  ['bytes=-99', 10, { start: 0, lengthBytes: 10 }],
  ['Bytes = 2 - 3 ', 10, { start: 2, lengthBytes: 2 }],
  [`bytes=${2 ** 40}-`, 2 ** 41, { start: 2 ** 40, lengthBytes: 2 ** 40 }],
  ['bytes=10-', 10, 'unsatisfiable'],
  ['bytes=-0', 10, 'unsatisfiable'],
  ['bytes=0-', 0, 'unsatisfiable'],
  ['bytes=-5', 0, 'unsatisfiable'],
  ['bytes=5-4', 10, 'whole'],
  ['bytes=-', 10, 'whole'],
  ['bytes=0-1,3-4', 10, 'whole'],
  ['bytes=a-b', 10, 'whole'],
  ['items=0-1', 10, 'whole'],
  [undefined, 10, 'whole'],
])('%s of %i bytes is %j', (header, sizeBytes, range) => {
  expect(resolveRange(header, sizeBytes)).toEqual(range);
});

it.each([
  ['a b.txt', 'attachment; filename="a b.txt"'],
  ['say "x"', 'attachment; filename="say _x_"; filename*=UTF-8\'\'say%20%22x%22'],
  ['ü', 'attachment; filename="_"; filename*=UTF-8\'\'%C3%BC'],
  ['🦜', 'attachment; filename="_"; filename*=UTF-8\'\'%F0%9F%A6%9C'],
  ['a\r\nb', 'attachment; filename="a__b"; filename*=UTF-8\'\'a%0D%0Ab'],
  ['100%', 'attachment; filename="100_"; filename*=UTF-8\'\'100%25'],
])('the name %j is offered as %s', (name, header) => {
  expect(attachment(name)).toBe(header);
});
