/**
 * The path that is routed on. As with FirecREST v2 the whole path is case-insensitive (system names are), except that
 * identifiers given by a scheduler keep their case, which upstream loses.
 */

type Segment = { text: string } | { isCaseKept: boolean };

function parseTemplate(template: string): Segment[] {
  return template.split('/').map((text) => {
    if (!text.startsWith('{')) return { text };
    return { isCaseKept: text !== '{system_name}' };
  });
}

/** Segments of the template that covers the path, or undefined. */
function findTemplate(templates: readonly Segment[][], segments: readonly string[]): Segment[] | undefined {
  return templates.find(
    (template) =>
      template.length === segments.length &&
      template.every((part, at) => !('text' in part) || part.text === segments[at]),
  );
}

/** The raw path of an address: from the first slash after the host to `?` or `#`. */
export function rawPathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf(':') + 3);
  if (start === -1) return '/';
  const query = url.indexOf('?', start);
  const fragment = url.indexOf('#', start);
  const end = query === -1 ? fragment : fragment === -1 ? query : Math.min(query, fragment);
  return end === -1 ? url.slice(start) : url.slice(start, end);
}

/** A function for Hono's `getPath`. A path without capitals costs one scan. Percent-encoding stays as it was sent. */
export function createRoutePath(templates: readonly string[], rootPath: string): (request: Request) => string {
  const parsed = templates.map(parseTemplate).filter((template) => template.some((part) => 'isCaseKept' in part));
  return (request) => {
    let path = rawPathOf(request.url);
    if (rootPath !== '' && path.startsWith(`${rootPath}/`)) path = path.slice(rootPath.length);
    if (!/[A-Z]/.test(path)) return path;
    const segments = path.split('/');
    const lower = segments.map((segment) => segment.toLowerCase());
    const template = findTemplate(parsed, lower);
    if (template === undefined) return lower.join('/');
    return lower
      .map((segment, at) => {
        const part = template[at];
        return part !== undefined && 'isCaseKept' in part && part.isCaseKept ? segments[at] : segment;
      })
      .join('/');
  };
}
