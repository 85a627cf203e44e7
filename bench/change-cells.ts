/** Operations that change files, each by HTTP and directly over the same kind of warm SSH connection. */
import type { RemoteFiles } from '../workers/ssh/remote-files.ts';
import type { Face } from './face.ts';
import type { FileCell } from './file-cells.ts';
import type { Floor } from './floor.ts';
import type { benchFiles } from './subjects.ts';

type Subjects = ReturnType<typeof benchFiles>;

/** What SFTP does in one request, or a few. A change that is answered with how the file looks now has that look in its floor. */
export function changesByRequest(face: Face, { files }: Floor, subjects: Subjects): FileCell[] {
  const { small, newPath, removable } = subjects;
  const thenLook = (path: string, change: (ordered: RemoteFiles) => Promise<void>) =>
    files.inOrder(async (ordered) => void (await Promise.all([change(ordered), ordered.lstat(path)])));
  const post = (name: string, body: () => Record<string, string>) =>
    face.prepareEach('POST', 201, () => ({ route: `ops/${name}`, body: JSON.stringify(body()) }));
  return [
    {
      what: 'HTTP PUT ops/chmod',
      clients: [1],
      floorWhat: 'floor: SFTP chmod, lstat',
      byHttp: face.prepare('PUT', 'ops/chmod', 200, JSON.stringify({ path: small, mode: '644' })),
      floor: () => thenLook(small, (ordered) => ordered.chmod(small, 0o644)),
    },
    {
      what: 'HTTP POST ops/mkdir',
      clients: [1],
      floorWhat: 'floor: SFTP mkdir, lstat',
      byHttp: post('mkdir', () => ({ path: newPath() })),
      floor: () => {
        const path = newPath();
        return thenLook(path, (ordered) => ordered.mkdir(path));
      },
    },
    {
      what: 'HTTP POST ops/symlink',
      clients: [1],
      floorWhat: 'floor: SFTP symlink, lstat, readlink',
      byHttp: post('symlink', () => ({ path: small, linkPath: newPath() })),
      floor: () => {
        const path = newPath();
        return thenLook(
          path,
          async (ordered) => void (await Promise.all([ordered.symlink(small, path), ordered.readlink(path)])),
        );
      },
    },
    {
      what: 'HTTP DELETE ops/rm',
      clients: [1],
      floorWhat: 'floor: SFTP remove',
      byHttp: face.prepareEach('DELETE', 204, () => ({
        route: `ops/rm?${new URLSearchParams({ path: removable() })}`,
      })),
      floor: () => files.unlink(removable()),
    },
  ];
}

/** What takes a process on the host. */
export function changesByCommand(face: Face, floor: Floor, subjects: Subjects, username: string): FileCell[] {
  const { folder, small, inFolder } = subjects;
  const run = (argv: readonly string[]) => async () => {
    const { exitCode, stderr } = await floor.shell.run(argv);
    if (exitCode !== 0) throw new Error(stderr.toString());
  };
  const [packed, unpacked] = [inFolder('small.tar.gz'), inFolder('unpacked')];
  const compress = { path: small, targetPath: inFolder('packed.tar.gz'), compression: 'gzip' };
  const extract = { path: packed, targetPath: unpacked, compression: 'gzip' };
  return [
    {
      what: 'HTTP PUT ops/chown',
      clients: [1],
      floorWhat: 'floor: exec chown',
      byHttp: face.prepare('PUT', 'ops/chown', 200, JSON.stringify({ path: small, owner: username })),
      floor: run(['chown', '--', username, small]),
    },
    {
      what: 'HTTP POST ops/compress',
      clients: [1],
      floorWhat: 'floor: exec tar to pack',
      byHttp: face.prepare('POST', 'ops/compress', 204, JSON.stringify(compress)),
      floor: run(['tar', '--create', '--gzip', `--file=${inFolder('floor.tar.gz')}`, `--directory=${folder}`, 'small']),
    },
    {
      what: 'HTTP POST ops/extract',
      clients: [1],
      floorWhat: 'floor: exec tar to unpack',
      byHttp: face.prepare('POST', 'ops/extract', 204, JSON.stringify(extract)),
      floor: run(['tar', '--extract', '--gzip', `--file=${packed}`, `--directory=${unpacked}`]),
    },
  ];
}
