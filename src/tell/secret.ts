/** Secrets, which stand in files: read whenever they are used, so that a renewed one counts. */
import { readText, SECRET_MAX } from '../files/read.ts';
import { TellError } from './channel.ts';

/** What is in a file, without the line end behind it. Throws TellError. */
export async function secretIn(file: string): Promise<string> {
  let text: string;
  try {
    text = readText(file, SECRET_MAX);
  } catch (error) {
    const why =
      error instanceof Error ? ('code' in error ? String(error.code) : error.message) : String(error);
    throw new TellError(`${file}: cannot be read (${why})`, { cause: error });
  }
  const secret = text.replace(/\r?\n$/, '');
  if (secret === '') throw new TellError(`${file}: is empty`);
  return secret;
}
