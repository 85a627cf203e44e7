/** A host that shows a certificate, or a copy of somebody else's, and signs with the key it has: no sshd does that with a key that is not the certificate's. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import ssh2, { type ParsedKey } from 'ssh2';

interface ServerProtocol {
  _offer: {
    lists: { kex: { array: string[] }; cs: Lists; sc: Lists };
    constructor: unknown;
  };
  _hostKeys: Record<string, object>;
  _kex: { negotiated: { serverHostKey: string } };
}

type Lists = Record<'cipher' | 'mac' | 'compress' | 'lang', { array: string[] }>;

const algorithm = 'ssh-ed25519-cert-v01@openssh.com';

/** `certificatePath` is a `-cert.pub` file of an ed25519 key. Nobody can log in there. */
export async function startFakeCertifiedHost(certificatePath: string, privateKeyPath: string) {
  const certificate = Buffer.from(readFileSync(certificatePath, 'utf8').split(' ')[1] ?? '', 'base64');
  const privateKey = readFileSync(privateKeyPath, 'utf8');
  const key = ssh2.utils.parseKey(privateKey) as ParsedKey;
  const server = new ssh2.Server({ hostKeys: [privateKey] }, (client) => {
    const protocol = (client as unknown as { _protocol: ServerProtocol })._protocol;
    const { kex, cs, sc } = protocol._offer.lists;
    const names = (lists: Lists) => Object.fromEntries(Object.entries(lists).map(([name, { array }]) => [name, array]));
    const Offer = protocol._offer.constructor as new (lists: object) => ServerProtocol['_offer'];
    protocol._offer = new Offer({ kex: kex.array, serverHostKey: [algorithm], cs: names(cs), sc: names(sc) });
    protocol._hostKeys[algorithm] = {
      type: key.type,
      getPublicSSH: () => certificate,
      sign(data: Buffer) {
        protocol._kex.negotiated.serverHostKey = key.type; // the name in the signature
        return key.sign(data);
      },
    };
    client.on('authentication', (attempt) => attempt.reject());
    client.on('error', () => {}); // the client goes away when it has seen enough
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, stop: () => server.close() };
}
