/** The body of an HTTP answer as text, counted as it unfolds: what a server compressed may be a thousand times as long. */

/** Throws RangeError past `bytesMax`, having read no more than that and one block; else what the stream throws. */
export async function readBoundedText(response: Response, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > bytesMax) throw new RangeError(`larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
