/** `/docs`: the OpenAPI document as one page to read, without scripts and without anything from elsewhere. */
import { createHash } from 'node:crypto';
import type { AppConfig, AppContext } from '../http/app-env.ts';
import { textResponse } from '../http/json-response.ts';
import { openApiDocument } from './document.ts';

interface Parameter {
  name: string;
  in: string;
  required: boolean;
  description?: string;
  schema: object;
}

type Content = { content?: Record<string, { schema: object }> };

interface OperationView {
  operationId: string;
  summary: string;
  tags?: string[];
  security?: unknown[];
  parameters?: Parameter[];
  requestBody?: Content;
  responses: Record<string, Content & { description: string }>;
}

interface DocumentView {
  info: { title: string; version: string; description: string };
  tags?: readonly { name: string; description: string }[];
  paths: Record<string, Record<string, OperationView>>;
  components: { schemas: Record<string, object> };
}

const style = `
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:2.5rem;border-bottom:1px solid #8886}
details{border:1px solid #8886;border-radius:4px;margin:.4rem 0;padding:.4rem .7rem}
summary{cursor:pointer}
summary b{display:inline-block;min-width:4.5rem;font-family:ui-monospace,monospace}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}
pre{overflow:auto;max-height:24rem;background:#8881;padding:.6rem}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #8883}
`;

/** The default policy of answers, and this page's own style. */
const styleHash = createHash('sha256').update(style).digest('base64');
const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${row(head, 'th')}${rows.map((cells) => row(cells, 'td')).join('')}</table>`;
}

function schemaBlock(title: string, part: Content | undefined): string {
  const [entry] = Object.entries(part?.content ?? {});
  if (entry === undefined) return '';
  const [type, { schema }] = entry;
  return `<h4>${escapeHtml(`${title} (${type})`)}</h4><pre>${escapeHtml(JSON.stringify(schema, undefined, 2))}</pre>`;
}

/** The type and what bounds it: `integer ≥ 0, ≤ 10`, say, stays readable as the schema's own words. */
function shortSchema(schema: object): string {
  const text = JSON.stringify(schema);
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}

function operationBlock(method: string, path: string, operation: OperationView): string {
  const { summary, operationId, parameters = [], requestBody, responses, security } = operation;
  const [successStatus = '', success] = Object.entries(responses).find(([status]) => status.startsWith('2')) ?? [];
  const rows = parameters.map((each) => [
    `${each.name}${each.required ? ' (required)' : ''}`,
    each.in,
    shortSchema(each.schema),
    each.description ?? '',
  ]);
  return [
    `<details id="${escapeHtml(operationId)}">`,
    `<summary><b>${method.toUpperCase()}</b> <code>${escapeHtml(path)}</code> ${escapeHtml(summary)}</summary>`,
    security?.length === 0 ? '<p>Open to everyone.</p>' : '',
    rows.length === 0 ? '' : `<h4>Parameters</h4>${table(['Name', 'In', 'Schema', 'Meaning'], rows)}`,
    schemaBlock('Body', requestBody),
    schemaBlock(`Answer ${successStatus}`, success),
    '<h4>Answers</h4>',
    table(
      ['Status', 'When'],
      Object.entries(responses).map(([status, { description }]) => [status, description]),
    ),
    '</details>',
  ].join('\n');
}

/** The page of a document. Pure. */
export function docsPage(document: DocumentView): string {
  const { info, tags = [], paths, components } = document;
  const byTag = new Map<string, string[]>();
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const tag = operation.tags?.[0] ?? 'other';
      byTag.set(tag, [...(byTag.get(tag) ?? []), operationBlock(method, path, operation)]);
    }
  }
  const about = new Map(tags.map(({ name, description }) => [name, `<p>${escapeHtml(description)}.</p>\n`]));
  const sections = [...byTag].map(
    ([tag, blocks]) => `<h2>${escapeHtml(tag)}</h2>\n${about.get(tag) ?? ''}${blocks.join('\n')}`,
  );
  const paragraphs = info.description.split('\n\n').map((text) => `<p>${escapeHtml(text)}</p>`);
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) =>
      `<details><summary><code>${escapeHtml(name)}</code></summary><pre>${escapeHtml(JSON.stringify(schema, undefined, 2))}</pre></details>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(`${info.title} ${info.version}: API`)}</title><style>${style}</style></head><body>
<h1>${escapeHtml(info.title)} <small>${escapeHtml(info.version)}</small></h1>
${paragraphs.join('\n')}
<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>
${sections.join('\n')}
<h2>Schemas</h2>
${schemas.join('\n')}
</body></html>
`;
}

/** Made on the first request and kept. */
export function serveDocs(config: AppConfig): (c: AppContext) => Response {
  let text: string | undefined;
  const headers = { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy };
  return (c) => {
    text ??= docsPage(openApiDocument(config) as unknown as DocumentView);
    return textResponse(c, 200, text, headers);
  };
}
