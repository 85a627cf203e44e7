/**
 * A string that must not be printed. Every way in which a value ends up in a log, an answer or an error message shows
 * `[secret]`; only `reveal()` gives the text, so that a search for that word finds every use.
 */
import { inspect } from 'node:util';

const shown = '[secret]';

/** Holds one secret text. Structured cloning and spreading yield an empty object, never the text. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself, for the one call that needs it. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  get [Symbol.toStringTag](): string {
    return 'Secret';
  }

  [Symbol.toPrimitive](): string {
    return shown;
  }

  [inspect.custom](): string {
    return shown;
  }
}
