/** W3C Trace Context: the header by which a client names the trace that its request belongs to. */

const form = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/;
/** Of version 00; what a later version adds is not kept. */
const charsKept = 55;

/** The header as a task keeps it; undefined where there is none, or it is not one of the specification. */
export function traceparentIn(header: string | undefined): string | undefined {
  return header !== undefined && form.test(header) ? header.slice(0, charsKept) : undefined;
}

/** The 32 hexadecimal digits that name the trace; null where there is none. */
export function traceIdIn(traceparent: string | null | undefined): string | null {
  return form.exec(traceparent ?? '')?.[1] ?? null;
}
