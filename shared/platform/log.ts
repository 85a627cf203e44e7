/** The log: JSON lines on standard output, with what must not be read taken out wherever it stands. */
import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino';

export type { Logger } from 'pino';

const secretPaths = [
  'authorization',
  '*.authorization',
  'headers.authorization',
  'req.headers.authorization',
  'token',
  '*.token',
  'password',
  '*.password',
  'privateKey',
  '*.privateKey',
  'passphrase',
  '*.passphrase',
];

/** ioredis hangs the command with its arguments on its errors: a password, or the input of a task. */
function errorWithoutArguments(error: Error): object {
  const { command, ...rest } = stdSerializers.err(error) as { command?: { name?: string } };
  return command === undefined ? rest : { ...rest, command: command.name };
}

/** `destination` is for tests and for the lab; default: standard output. */
export function createLog(level: string, process: 'api' | 'worker', destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { process },
    serializers: { err: errorWithoutArguments },
    redact: { paths: secretPaths, censor: '[secret]' },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  return destination ? pino(options, destination) : pino(options);
}
