/** File operations, each by HTTP and directly over the same kind of warm SSH connection. */
import type { LabUser } from '../lab/users.ts';
import { changesByCommand, changesByRequest } from './change-cells.ts';
import type { Face } from './face.ts';
import type { Floor } from './floor.ts';
import type { SftpStreams } from './sftp-streams.ts';
import { benchFiles } from './subjects.ts';

/** One operation and what it is held against. */
export interface FileCell {
  what: string;
  clients: readonly number[];
  floorWhat: string;
  byHttp: (caller: number) => Promise<void>;
  floor: (caller: number) => Promise<void>;
  /** The same work in the plain way of a library, where that is what a target is about. */
  plain?: { what: string; work: (caller: number) => Promise<void> };
  /** Of the plain way's rate, or times the floor, at one client, or a rate at the most clients; else the floor and 3 ms. */
  target?: { sharePercentMin: number } | { ratePerSecondMin: number } | { timesMax: number };
}

const sizes = [
  ['64 KiB', 64 * 1024],
  ['1 MiB', 1024 * 1024],
  ['5 MiB', 5 * 1024 * 1024],
] as const;

/** The files are there when this resolves; those that pass up and down are in `memory`, a folder of the user's. */
export async function prepareFileCells(
  face: Face,
  floor: Floor,
  streams: SftpStreams,
  { home, username }: Pick<LabUser, 'home' | 'username'>,
  memory: string,
): Promise<FileCell[]> {
  const subjects = benchFiles(home, memory);
  const { prepare, small, many, sized, inMemory } = subjects;
  await floor.shell.run(prepare, { timeoutMs: 120_000 });
  const { files } = floor;
  const read = (name: string, query: Record<string, string>) =>
    face.prepare('GET', `ops/${name}?${new URLSearchParams(query)}`, 200);
  const readSmall = (path: string, lengthBytes: number) => () =>
    files.withOpenFile(path, async (file) => void (await file.read(0, lengthBytes)));

  const texts = (['head', 'tail', 'view'] as const).map((name): FileCell => {
    const cell = { floorWhat: `floor: SFTP read of ${name}`, floor: readSmall(small, 32 * 1024) };
    const what = `HTTP GET ops/${name} (1 KiB)`;
    const byHttp = read(name, { path: small });
    if (name === 'tail') return { ...cell, what, byHttp, clients: [1] };
    return { ...cell, what, byHttp, clients: [1, 64], target: { ratePerSecondMin: 1_500 } };
  });
  const looks: FileCell[] = [
    {
      what: 'HTTP GET ops/checksum',
      clients: [1],
      floorWhat: 'floor: exec sha256sum',
      byHttp: read('checksum', { path: small }),
      floor: async () => void (await floor.shell.run(['sha256sum', '--', small])),
    },
    {
      what: 'HTTP GET ops/file',
      clients: [1],
      floorWhat: 'floor: exec file',
      byHttp: read('file', { path: small }),
      floor: async () => void (await floor.shell.run(['file', '-b', '--', small])),
    },
    {
      what: 'HTTP GET ops/ls (10,000 entries)',
      clients: [1],
      floorWhat: 'floor: SFTP list of 10,000',
      byHttp: read('ls', { path: many }),
      floor: async () => void (await files.readdir(many)),
      target: { timesMax: 1.5 },
    },
  ];
  const downloads = sizes.map(
    ([title, sizeBytes]): FileCell => ({
      what: `HTTP GET ops/download (${title})`,
      clients: [1],
      floorWhat: `floor: SFTP stream out (${title})`,
      byHttp: read('download', { path: sized(sizeBytes) }),
      floor: () =>
        files.withOpenFile(sized(sizeBytes), async (file) => void (await file.stream(0, sizeBytes, () => undefined))),
      plain: { what: `plain: ssh2's createReadStream (${title})`, work: () => streams.read(sized(sizeBytes)) },
      target: { sharePercentMin: 70 },
    }),
  );
  let written = 0;
  const uploads = sizes.map(([title, sizeBytes]): FileCell => {
    const data = Buffer.alloc(sizeBytes, 'x');
    return {
      what: `HTTP POST ops/upload (${title})`,
      clients: [1],
      floorWhat: `floor: SFTP stream in (${title})`,
      byHttp: face.prepare(
        'POST',
        `ops/upload?${new URLSearchParams({ path: memory })}`,
        204,
        formOf(`up-${sizeBytes}`, data),
        'multipart/form-data; boundary=bench',
      ),
      floor: async () => {
        written += 1;
        const path = inMemory(`floor-${written}`);
        await files.withNewFile(path, async (file) => {
          await file.append(data);
          await file.finish();
        });
        await files.unlink(path);
      },
      plain: {
        what: `plain: ssh2's createWriteStream (${title})`,
        work: () => streams.write(inMemory(`plain-${sizeBytes}`), data),
      },
      target: { sharePercentMin: 70 },
    };
  });
  const changes = [...changesByRequest(face, floor, subjects), ...changesByCommand(face, floor, subjects, username)];
  return [...texts, ...looks, ...changes, ...downloads, ...uploads];
}

function formOf(name: string, data: Buffer): Buffer {
  const head = `--bench\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), data, Buffer.from('\r\n--bench--\r\n')]);
}
