/** What the demo shows: lines that stay, and on a terminal one line that moves while something is being waited for. */

export interface Screen {
  heading(text: string): void;
  /** Plain lines, indented. */
  text(...lines: string[]): void;
  /** Lines as they are, for pasting. */
  raw(...lines: string[]): void;
  /** A thing that is done: name, how long it took, and what to know of it. */
  done(name: string, tookMs: number, detail: string): void;
  /** One request: what was sent, the status it was answered with, how long that took, and what it means. */
  exchange(request: string, status: number, tookMs: number, meaning: string): void;
  /** Content of a file or an answer, set off from our own words. */
  quote(lines: readonly string[]): void;
  /** Shows what is being waited for until the next line is printed; nothing where the output is not a terminal. */
  wait(text: string): void;
}

export interface ScreenTarget {
  isTTY?: boolean;
  write(text: string): unknown;
}

const frameMs = 100;
const nameWidth = 22;
const timeWidth = 9;

/** The environment decides by NO_COLOR (no-color.org), TERM and the locale; without a terminal nothing moves or shines. */
export function createScreen(out: ScreenTarget, environment: Record<string, string | undefined>): Screen {
  const isLive = out.isTTY === true && environment.TERM !== 'dumb';
  const isColoured = isLive && (environment.NO_COLOR ?? '') === '';
  const isUtf8 = /utf-?8/i.test(environment.LC_ALL || environment.LC_CTYPE || environment.LANG || '');
  const frames = isUtf8 ? ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] : ['|', '/', '-', '\\'];
  const bar = isUtf8 ? '│' : '|';
  const tick = isUtf8 ? '✔' : '*';
  const paint = (code: number, text: string) => (isColoured ? `\x1b[${code}m${text}\x1b[0m` : text);
  let timer: NodeJS.Timeout | undefined;

  const settle = () => {
    if (timer === undefined) return;
    clearInterval(timer);
    timer = undefined;
    out.write('\r\x1b[K');
  };
  const print = (line = '') => {
    settle();
    out.write(`${line}\n`);
  };
  const printAll = (lines: readonly string[]) => {
    for (const line of lines) print(line);
  };
  const took = (ms: number) => paint(2, formatTook(ms).padStart(timeWidth));

  return {
    heading: (text) => {
      print();
      print(paint(1, text));
    },
    text: (...lines) => printAll(lines.map((line) => (line === '' ? '' : `  ${line}`))),
    raw: (...lines) => printAll(lines),
    done: (name, tookMs, detail) =>
      print(`  ${paint(32, tick)} ${name.padEnd(nameWidth - 2)}${took(tookMs)}   ${detail}`),
    exchange: (request, status, tookMs, meaning) => {
      print(`  ${request}`);
      print(`    ${paint(status < 300 ? 32 : 31, String(status))}${took(tookMs)}   ${meaning}`);
    },
    quote: (lines) => printAll(lines.map((line) => `    ${paint(2, bar)} ${line}`)),
    wait: (text) => {
      settle();
      if (!isLive) return;
      let frame = 0;
      const draw = () => out.write(`\r\x1b[K  ${paint(33, frames[frame++ % frames.length] ?? '')} ${text}`);
      draw();
      timer = setInterval(draw, frameMs);
      timer.unref();
    },
  };
}

/** `0.8 ms`, `12 ms`, `3.4 s`. */
export function formatTook(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}
