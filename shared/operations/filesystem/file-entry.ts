/** A line of a listing, as FirecREST v2's `File` has it. */
import { z } from 'zod';

export const fileEntry = z.object({
  name: z
    .string()
    .describe('Base name; the full path when a file itself is listed; relative to the path when recursive'),
  type: z.string().describe('First letter of `ls -l`: - d l p s b c'),
  linkTarget: z.string().nullable(),
  user: z.string(),
  group: z.string(),
  permissions: z.string().describe('Nine letters without the type, e.g. rw-r--r--'),
  lastModified: z.string().describe("YYYY-MM-DDTHH:MM:SS in the cluster's own time zone, without one"),
  size: z.string().describe('Bytes, as text'),
});

export type FileEntry = z.infer<typeof fileEntry>;
