/** What is secret in a run of the broker: in its configuration, in what its clients send, and in what it hands out. */
import { Secret } from '../../shared/platform/secret.ts';

export interface KnownSecret {
  /** For messages, which never hold the secret. */
  title: string;
  /** The text that is looked for. */
  needle: string;
  /** It was handed out by an answer, so it may stand in one. */
  isHandedOut: boolean;
}

/** Shorter texts would be found where they are none. */
export const needleCharsMin = 16;

/** Part of the addresses that are signed with the secret key; not secret, though its owner need not tell it. */
const publicFields = /\.accessKeyId$/;

/** Every secret of a configuration, by the type that the product itself wraps them in. Throws where one is too short. */
export function secretsOfConfig(config: unknown): KnownSecret[] {
  return [...secretsIn(config, 'config')].flatMap(([path, secret]) => {
    if (publicFields.test(path)) return [];
    const needles = needlesOf(secret);
    for (const needle of needles) {
      if (needle.length < needleCharsMin) throw new Error(`${path} is too short to be looked for: make it longer`);
    }
    return needles.map((needle) => ({ title: path, needle, isHandedOut: false }));
  });
}

function* secretsIn(value: unknown, path: string): Generator<[string, string], void> {
  if (value instanceof Secret) yield [path, value.reveal()];
  else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) yield* secretsIn(member, `${path}.${name}`);
  }
}

/** The parts of a secret that may not be seen: of a token its signature, of an address its password, of a key each line. */
export function needlesOf(secret: string): string[] {
  if (secret.includes('PRIVATE KEY-----')) {
    // The first lines are of a format that all keys share.
    const lines = secret.trim().split('\n').slice(3, -1);
    return lines.filter((line) => line.length >= needleCharsMin);
  }
  const signature = /^[\w-]+\.[\w-]+\.([\w-]+)$/.exec(secret)?.[1];
  if (signature !== undefined) return [signature];
  if (/^\w+:\/\//.test(secret)) {
    const { password } = new URL(secret);
    return password === '' ? [] : [password];
  }
  return [secret];
}

/** Of a request: its token, and secrets of webhooks in its headers and its body. */
export function secretsOfRequest(authorization: string | null, text: string): KnownSecret[] {
  const token = /^(?:Bearer|DPoP) (.+)$/i.exec(authorization ?? '')?.[1];
  return [
    ...(token === undefined ? [] : tokenSecrets('a token that was sent', token)),
    ...found('the secret of a webhook that was sent', text, webhookSecret, false),
  ];
}

export function tokenSecrets(title: string, token: string): KnownSecret[] {
  const needles = needlesOf(token).filter((needle) => needle.length >= needleCharsMin);
  return needles.map((needle) => ({ title, needle, isHandedOut: false }));
}

const webhookSecret = /whsec_([A-Za-z0-9+/=]{24,})/g;
const handedOut: readonly (readonly [string, RegExp])[] = [
  ['the secret of a webhook', webhookSecret],
  ['the signature of an address', /X-Amz-Signature=([0-9a-f]{64})/g],
  ['a ticket', /"ticket":"([\w.~+/=-]{16,})"/g],
  ['the secret of a stream', /"coordinates":"([\w.~+/=-]{16,})"/g],
  ['the code of a wormhole', /"wormholeCode":"\d+-([\w-]{16,})"/g],
];

/** What an answer hands out to its client alone. */
export function secretsOfAnswer(text: string): KnownSecret[] {
  return handedOut.flatMap(([title, pattern]) => found(title, text, pattern, true));
}

function found(title: string, text: string, pattern: RegExp, isHandedOut: boolean): KnownSecret[] {
  return [...text.matchAll(pattern)].map(([, needle = '']) => ({ title, needle, isHandedOut }));
}
