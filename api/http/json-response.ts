/** Answers with the headers every answer carries, made of plain values so that the server adapter's short way is taken. */
import type { AppContext } from './app-env.ts';

/** `headers` have lower-case names and win over those every answer carries. A null text means no body. */
export function textResponse(
  c: AppContext,
  status: number,
  text: string | null,
  headers: Record<string, string>,
): Response {
  return new Response(text, { status, headers: { ...c.get('takeHeaders')(), ...headers } });
}

/** 204 and 304 have no body. */
export function jsonResponse(
  c: AppContext,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): Response {
  if (status === 204 || status === 304) return textResponse(c, status, null, headers);
  return textResponse(c, status, JSON.stringify(body), { 'content-type': 'application/json', ...headers });
}
