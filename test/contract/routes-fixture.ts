/** The routes of FirecREST v2 that the contract tests hold Goldcrest to; see the file itself for its notation. */
import { readFileSync } from 'node:fs';

export interface UpstreamRoute {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  success: number;
  errors: number[];
  pathParameters: string[];
  query: Record<string, { types: string[]; required: boolean }>;
  body: Record<string, { types: string[]; required: boolean; spellings: string[] }>;
  answer: Record<string, string>;
}

const file = new URL('../fixtures/firecrest-v2/routes.json', import.meta.url);

export const upstreamRoutes = (JSON.parse(readFileSync(file, 'utf8')) as { routes: UpstreamRoute[] }).routes;

/** The route by `METHOD /path/{template}`. */
export function upstreamRoute(name: string): UpstreamRoute {
  const route = upstreamRoutes.find(({ method, path }) => `${method} ${path}` === name);
  if (route === undefined) throw new Error(`no such route in the fixture: ${name}`);
  return route;
}
