/** What the tests of transfers of trees share: trees to send, trees as they are seen, archives of any kind, and the client's part. */
import { execFileSync } from 'node:child_process';
import { lchownSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { vi } from 'vitest';
import type { S3Facts } from '../../lab/parts/s3.ts';
import type { LabUser } from '../../lab/users.ts';
import type { Body, Client } from './broker-fixture.ts';
import { completeUpload, putParts } from './transfer-fixture.ts';

/** What a tree is, by name: kind, mode, time and content of every entry. Of links only what they point to. */
export function seenTree(root: string): Record<string, string> {
  const seen: Record<string, string> = {};
  const visit = (directory: Buffer, prefix: string): void => {
    for (const name of readdirSync(directory, { encoding: 'buffer' })) {
      const path = Buffer.concat([directory, Buffer.from('/'), name]);
      const shown = `${prefix}${name.toString('latin1')}`;
      const facts = lstatSync(path);
      if (facts.isDirectory()) visit(path, `${shown}/`);
      const what = facts.isDirectory() ? 'directory' : facts.isFile() ? readFileSync(path, 'base64') : 'link';
      // Microseconds are kept; a floating number is not sure of the last one.
      const kept = `${(facts.mode & 0o777).toString(8)} ${Math.floor(facts.mtimeMs / 10)} ${what}`;
      seen[shown] = facts.isSymbolicLink() ? `link ${readlinkSync(path)}` : kept;
    }
  };
  visit(Buffer.from(root), '');
  return seen;
}

/** Files by name below a directory that is made for them, given to the user. */
export function makeTree(root: string, owner: LabUser, files: Readonly<Record<string, string | Buffer>>): string {
  mkdirSync(root, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  giveTree(root, owner);
  return root;
}

export function giveTree(root: string, { uid, gid }: LabUser): void {
  lchownSync(root, uid, gid);
  execFileSync('chown', ['-hR', `${uid}:${gid}`, '--', root]);
}

/** One entry of an archive, whatever a header can say. */
export interface ArchiveEntry {
  name: string;
  type?: string;
  link?: string;
  content?: string;
  mode?: number;
}

/** A ustar archive of these entries, for names that no honest program would write. */
export function archiveOf(entries: readonly ArchiveEntry[]): Buffer {
  const blocks = entries.flatMap(({ name, type = '0', link = '', content = '', mode = 0o644 }) => {
    const head = Buffer.alloc(512);
    const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
    head.write(name, 0, 100, 'latin1');
    head.write(
      octal(mode, 7) + octal(0, 7) + octal(0, 7) + octal(Buffer.byteLength(content), 11) + octal(1e9, 11),
      100,
    );
    head.write(`        ${type}${link}`, 148, 'latin1');
    head.write('ustar\x0000', 257);
    head.write(
      `${octal(
        head.reduce((sum, byte) => sum + byte, 0),
        6,
      )} `,
      148,
    );
    const body = Buffer.from(content);
    return [head, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1_024)]);
}

/** The client's part of an upload of a tree, by the native face: packs nothing, sends what it is given. `meanwhile`: before it does. */
export async function sendArchive(
  client: Client,
  input: Record<string, unknown>,
  archive: Buffer,
  system = 'lab',
  meanwhile: () => void = () => undefined,
): Promise<string> {
  const whole = { archiveBytesMax: archive.length, ...input };
  const accepted = await client.post('/tasks', { operation: 'transfer.upload-tree', system, input: whole });
  if (accepted.status !== 202) throw new Error(accepted.text);
  const location = `/tasks/${accepted.body.id}`;
  const addresses = await addressesOf(client, location);
  meanwhile();
  const parts = (addresses.parts as { url: string }[]).map(({ url }) => url);
  const directives = {
    partsUploadUrls: parts,
    completeUploadUrl: String(addresses.completeUrl),
    maxPartSize: Number(addresses.partSizeBytes),
    downloadUrl: '',
  };
  const needed = Math.max(1, Math.ceil(archive.length / directives.maxPartSize));
  const etags = await putParts({ ...directives, partsUploadUrls: parts.slice(0, needed) }, archive);
  await completeUpload(directives, etags);
  return location;
}

/** The addresses of a transfer, when a worker has begun it. */
export function addressesOf(client: Client, location: string): Promise<Body> {
  return vi.waitFor(
    async () => {
      const { status, body, text } = await client.get(`${location}/transfer`);
      if (status !== 200) throw new Error(text);
      return body;
    },
    { timeout: 30_000, interval: 100 },
  );
}

export function storeClient({ endpoint, region, accessKeyId, secretAccessKey }: S3Facts): S3Client {
  return new S3Client({ endpoint, region, credentials: { accessKeyId, secretAccessKey }, forcePathStyle: true });
}

/** Keys of objects and of uploads begun that belong to a task. */
export async function stagedOf(store: S3Client, Bucket: string, taskId: string): Promise<string[]> {
  const [objects, uploads] = await Promise.all([
    store.send(new ListObjectsV2Command({ Bucket, Prefix: taskId })),
    store.send(new ListMultipartUploadsCommand({ Bucket, Prefix: taskId })),
  ]);
  return [...(objects.Contents ?? []), ...(uploads.Uploads ?? [])].map(({ Key }) => Key ?? '');
}
