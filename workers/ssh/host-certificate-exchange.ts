/**
 * Host certificates over ssh2, which negotiates none. Two things of one client's protocol are changed: what it offers, and
 * a key exchange that ended with a certificate. Its `finish` (lib/protocol/kex.js) hashes what the host showed, asks for
 * our public value, then checks the signature over that hash with what the host showed. So the hash must see the
 * certificate (RFC 4253 section 8: K_S is what was sent), and the check the key inside it, with that key's algorithm.
 * We change the one for the other where our public value is asked for.
 *
 * Were the order another one, the hash would be made over something that the host has not signed, or the certificate be
 * taken for a key: the handshake fails. It cannot succeed for a host that does not hold the key in the certificate.
 * Nothing here decides whether the certificate is to be believed: that is for `hostVerifier`, which is called before.
 */
import { createRequire } from 'node:module';
import type { Client } from 'ssh2';
import { readCertificate } from './read-certificate.ts';

interface KexInit {
  readonly lists: {
    readonly kex: List;
    readonly serverHostKey: List;
    readonly cs: Record<'cipher' | 'mac' | 'compress' | 'lang', List>;
    readonly sc: Record<'cipher' | 'mac' | 'compress' | 'lang', List>;
  };
}

interface List {
  readonly array: readonly string[];
}

interface KeyExchange {
  /** The algorithm; the name that the host key's own must equal, then that of the signature. */
  readonly negotiated: { serverHostKey: string };
  /** What the host showed, once it has been accepted; undefined before. */
  _hostKey: Buffer | undefined;
  /** Our public value. Asked for when it is sent, before the host shows anything, and when the hash is made. */
  getPublicKey(): Buffer;
}

interface Protocol {
  _offer: KexInit;
  _kex: KeyExchange | undefined;
}

const suffix = '-cert-v01@openssh.com';
/** In the order in which they are asked for. */
const certificateAlgorithms = [
  ...['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ...['rsa-sha2-512', 'rsa-sha2-256'],
].map((name) => `${name}${suffix}`);

/** The version whose insides are reached into. */
const knownVersion = '1.17.0';
const require = createRequire(import.meta.url);

/** Throws Error with another version of ssh2 than the one that this file was written for. */
export function requireKnownSsh2(): void {
  const { version } = require('ssh2/package.json') as { version: string };
  if (version === knownVersion) return;
  throw new Error(
    `Host certificates need ssh2 ${knownVersion}, and ${version} is installed: pin the keys of the hosts`,
  );
}

/** Call right after `client.connect()`: the offer goes out when the host has greeted. Keys without a certificate go the ordinary way. */
export function enableHostCertificates(client: Client): void {
  const protocol = (client as unknown as { _protocol: Protocol })._protocol;
  protocol._offer = withCertificates(protocol._offer);
  let exchange = protocol._kex;
  // One for each exchange of keys: also those that a long connection goes through later.
  Object.defineProperty(protocol, '_kex', {
    get: () => exchange,
    set: (next: KeyExchange | undefined) => {
      exchange = next;
      if (next?.negotiated.serverHostKey.endsWith(suffix)) prepare(next);
    },
  });
}

function withCertificates(offer: KexInit): KexInit {
  const { kex, serverHostKey, cs, sc } = offer.lists;
  const names = ({ cipher, mac, compress, lang }: typeof cs) => ({
    ...{ cipher: cipher.array, mac: mac.array, compress: compress.array, lang: lang.array },
  });
  const Offer = offer.constructor as new (lists: object) => KexInit;
  return new Offer({
    kex: kex.array,
    serverHostKey: [...certificateAlgorithms, ...serverHostKey.array],
    cs: names(cs),
    sc: names(sc),
  });
}

function prepare(exchange: KeyExchange): void {
  const { negotiated } = exchange;
  const signatureAlgorithm = negotiated.serverHostKey.slice(0, -suffix.length);
  // RFC 8332 has it so for keys: the certificate of an RSA key has one name whatever the signature is made with.
  if (signatureAlgorithm.startsWith('rsa-')) negotiated.serverHostKey = `ssh-rsa${suffix}`;
  const ownValue = exchange.getPublicKey.bind(exchange);
  exchange.getPublicKey = () => {
    if (exchange._hostKey !== undefined) {
      exchange._hostKey = readCertificate(exchange._hostKey).publicKey;
      negotiated.serverHostKey = signatureAlgorithm;
    }
    return ownValue();
  };
}
