import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { admitPath } from '../../shared/operations/paths.ts';

const scope = { systemName: 'lab', roots: ['/home', '/scratch/project'] };

describe('path admission', () => {
  it.each([
    ['/home', '/home'],
    ['/home/alice', '/home/alice'],
    ['//home///alice/./x', '/home/alice/x'],
    ['/home/alice/../bob', '/home/bob'],
    ['/home/link/', '/home/link/'],
    ['/home/it\'s "a" $(x)\nname', '/home/it\'s "a" $(x)\nname'],
    ['/home/-rf', '/home/-rf'],
    ['/home/...', '/home/...'],
  ])('admits %j as %j', (path, normal) => {
    expect(admitPath(path, scope)).toBe(normal);
  });

  it.each(['/etc', '/homex', '/home/../etc/passwd', '/scratch', '/scratch/projects', '/'])('refuses %j', (path) => {
    expect(() => admitPath(path, scope)).toThrow(
      expect.objectContaining({
        code: 'PathNotAllowed',
        message: expect.stringContaining('does not match any of the defined filesystem paths'),
      }),
    );
  });

  it.each(['', 'x', 'home/alice', './home', '~/x'])('says of %j that it is not absolute', (path) => {
    expect(() => admitPath(path, scope)).toThrow(
      expect.objectContaining({
        code: 'PathNotAbsolute',
        message: `The provided path (${path}) is not an absolute path.`,
      }),
    );
  });

  it('never lets a path out of its roots, whatever it is made of', () => {
    const segment = fc.oneof(fc.constantFrom('..', '.', '', 'home', 'scratch', 'project', 'a b'), fc.string());
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 12 }), (segments) => {
        let admitted: string;
        try {
          admitted = admitPath(`/${segments.join('/')}`, scope);
        } catch {
          return true;
        }
        const parts = admitted.split('/');
        return scope.roots.some((root) => `${admitted}/`.startsWith(`${root}/`)) && !parts.includes('..');
      }),
      { numRuns: 2_000 },
    );
  });

  it('admits everything under the root of the host where that is configured', () => {
    expect(admitPath('/etc/passwd', { systemName: 'lab', roots: ['/'] })).toBe('/etc/passwd');
  });
});
