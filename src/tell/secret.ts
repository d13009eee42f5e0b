/** Secrets, which stand in files: read whenever they are used, so that a renewed one counts. */
import { readFile } from 'node:fs/promises';
import { TellError } from './channel.ts';

/** What is in a file, without the line end behind it. Throws TellError. */
export async function secretIn(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new TellError(`${file}: cannot be read (${why})`, { cause: error });
  });
  const secret = text.replace(/\r?\n$/, '');
  if (secret === '') throw new TellError(`${file}: is empty`);
  return secret;
}
