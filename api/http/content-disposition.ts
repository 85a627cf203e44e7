/** The Content-Disposition of a download, RFC 6266: a name for every client, and the real one for those that know RFC 8187. */

/** Bytes that stand for themselves in RFC 8187's extended values (attr-char). */
const attributeCharacter = /[A-Za-z0-9!#$&+.^_`|~-]/;

/** `attachment; filename="…"; filename*=UTF-8''…`. The first has an underscore for what no quoted text can carry safely. */
export function attachment(name: string): string {
  const plain = name.replaceAll(/[^\x20-\x7e]|["\\%]/gu, '_');
  const exact = [...Buffer.from(name)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return attributeCharacter.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
  return `attachment; filename="${plain}"${plain === name ? '' : `; filename*=UTF-8''${exact}`}`;
}
