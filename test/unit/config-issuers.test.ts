/** What a configuration may say of issuers beyond FirecREST's: proofs, and how a claim becomes a username. */
import { describe, expect, it } from 'vitest';
import { loadText, refusal, small } from './config-support.ts';

const issuer = (entry: string) => {
  const before = '      audiences: [goldcrest]\n';
  expect(small).toContain(before);
  return small.replace(before, `${before}      ${entry.replaceAll('; ', '\n      ')}\n`);
};
const withUrl = { GOLDCREST_API__PUBLIC_URL: 'https://hpc.example.org' };

describe('proof of possession', () => {
  it('is off where nothing is said', () => {
    expect(loadText(small).config.authentication.issuers[0]).toMatchObject({ dpop: 'off', dpopNonce: false });
  });

  it('asks for the public address, which proofs must name', () => {
    const { problems, message } = refusal(() => loadText(issuer('dpop: allowed')));
    expect(problems).toMatchObject([
      { key: 'goldcrest.api.public_url', message: expect.stringMatching(/address, as clients call it/) },
    ]);
    expect(message).toContain('public_url: https://hpc.example.org');
    const { config, warnings } = loadText(issuer('dpop: required; dpop_nonce: true'), withUrl);
    expect([config.authentication.issuers[0], warnings]).toMatchObject([{ dpop: 'required', dpopNonce: true }, []]);
  });
});

describe('a username out of a claim', () => {
  it.each(['(', 'alice', '(a)(b)', '(?:a)'])('by the pattern %j is refused at the start', (pattern) => {
    const { problems } = refusal(() => loadText(issuer(`username_pattern: '${pattern}'`)));
    expect(problems).toMatchObject([
      { key: 'goldcrest.issuers[0].username_pattern', message: expect.stringMatching(/with one group/) },
    ]);
  });

  it('by a table must be one that clusters can have', () => {
    const { problems } = refusal(() => loadText(issuer("usernames: { a@b: '-rf' }")));
    expect(problems).toMatchObject([{ message: expect.stringMatching(/must be a user name of the clusters/) }]);
    const { config } = loadText(issuer("usernames: { a@b: alice }; username_pattern: '([a-z]+)@b'"));
    expect(config.authentication.issuers[0]).toMatchObject({
      usernames: { 'a@b': 'alice' },
      usernamePattern: '([a-z]+)@b',
    });
  });
});
