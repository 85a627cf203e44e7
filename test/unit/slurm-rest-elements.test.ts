import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createElementReader } from '../../workers/schedulers/slurm-rest/json-elements.ts';

describe('an array that is read piece by piece', () => {
  const read = (text: string, cuts: readonly number[]) => {
    const found: unknown[] = [];
    const reader = createElementReader('jobs', (element) => found.push(element));
    const bytes = Buffer.from(text);
    const at = [0, ...[...cuts].sort((a, b) => a - b).map((cut) => cut % (bytes.length + 1)), bytes.length].sort(
      (a, b) => a - b,
    );
    at.slice(1).forEach((end, index) => {
      reader.write(bytes.subarray(at[index], end));
    });
    return { found, frame: reader.end() };
  };

  it('is the same as the document that is parsed at once, wherever it is cut', () => {
    const element = fc.dictionary(fc.string(), fc.jsonValue());
    const document = fc.record({
      meta: fc.jsonValue(),
      errors: fc.array(element),
      jobs: fc.array(element),
      after: fc.jsonValue(),
    });
    const cuts = fc.array(fc.nat(), { maxLength: 12 });
    fc.assert(
      fc.property(document, fc.constantFrom(0, 2), cuts, (value, indent, at) => {
        const { found, frame } = read(JSON.stringify(value, undefined, indent), at);
        const expected = JSON.parse(JSON.stringify(value));
        expect(found).toEqual(expected.jobs);
        expect(frame).toEqual({ ...expected, jobs: [] });
      }),
    );
  });

  it('is none where the document has none of that name, or deeper only', () => {
    expect(read('{"a":{"jobs":[{"b":1}]},"x":"jobs"}', [])).toEqual({
      found: [],
      frame: { a: { jobs: [{ b: 1 }] }, x: 'jobs' },
    });
  });

  it('is refused where it is cut off', () => {
    expect(() => read('{"jobs":[{"a":1},{"b"', [3])).toThrow(SyntaxError);
  });
});
