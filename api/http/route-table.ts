/** What to say about a path that no handler took: another method, another spelling of the trailing slash, or nothing. */

export interface Route {
  method: string;
  /** Template with `{parameter}` segments. */
  path: string;
}

export type Miss = { kind: 'method'; allow: string } | { kind: 'slash'; path: string } | { kind: 'unknown' };

interface CompiledRoute extends Route {
  pattern: RegExp;
}

function compile(route: Route): CompiledRoute {
  const source = route.path
    .split('/')
    .map((segment) => (segment.startsWith('{') ? '[^/]+' : segment.replaceAll('.', '\\.')))
    .join('/');
  return { ...route, pattern: new RegExp(`^${source}$`) };
}

/** A path of its own, `jobs/estimate`, is not one that a template, `jobs/{job_id}`, happens to cover too. */
function allowOf(found: readonly Route[]): string {
  const fewest = Math.min(...found.map(({ path }) => path.split('{').length));
  const own = found.filter(({ path }) => path.split('{').length === fewest);
  return [...new Set(own.map(({ method }) => method))].join(', ');
}

/**
 * Method and path of requests that a template would take although the path is another route's own: `GET /tasks/batch` asks
 * for no task.
 */
export function coveredByChance(routes: readonly Route[]): Route[] {
  const compiled = routes.map(compile);
  const concrete = [...new Set(routes.map(({ path }) => path))].filter((path) => !path.endsWith('}'));
  return concrete.flatMap((path) => {
    const own = routes.filter((route) => route.path === path).map(({ method }) => method);
    const covering = compiled.filter((route) => route.path.endsWith('}') && route.pattern.test(path));
    return covering.filter(({ method }) => !own.includes(method)).map(({ method }) => ({ method, path }));
  });
}

function toggleSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : `${path}/`;
}

/** The finder over all routes of the application. Only asked when routing failed, so it may be slow. */
export function createRouteTable(routes: readonly Route[]): (path: string) => Miss {
  const compiled = routes.map(compile);
  const matching = (path: string) => compiled.filter((route) => route.pattern.test(path));
  return (path) => {
    const found = matching(path);
    if (found.length > 0) return { kind: 'method', allow: allowOf(found) };
    const other = toggleSlash(path);
    if (other !== '' && matching(other).length > 0) return { kind: 'slash', path: other };
    return { kind: 'unknown' };
  };
}
