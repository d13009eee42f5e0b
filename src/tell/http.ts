/** JSON over HTTP to what an operator has named: bounded in time and size, with errors that hold no secret. */
import { visible } from '../report/visible.ts';
import { TellError } from './channel.ts';
import { secretIn } from './secret.ts';

export interface JsonRequest {
  /** For people: `webhook`, `ResultsDB`. */
  readonly what: string;
  readonly url: URL;
  readonly method: 'POST' | 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body: string;
  /** ms */
  readonly timeout: number;
}

/** A status that is not 2xx. */
export class StatusError extends TellError {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message, { forGood: NEVER_TAKEN.includes(status) });
    this.status = status;
  }
}

/** The request itself is not taken, whenever it comes. What else is refused, a person may mend. */
const NEVER_TAKEN = [400, 410, 413, 414, 415, 422];
/** So much of an error's text is told, characters. */
const TOLD = 300;
/** Longest answer, bytes. */
const LONGEST = 8_000_000;

/**
 * Send a request.
 * @returns the text of the answer
 * @throws StatusError where it is refused, TellError where nobody answers; neither has the path of the address
 */
export async function sendJson({ what, url, method, headers, body, timeout }: JsonRequest): Promise<string> {
  const name = `${what} ${url.host}`;
  let status = 0;
  let text = '';
  try {
    const response = await fetch(url, {
      method,
      // Whoever sends it elsewhere would hand on what is secret in it.
      redirect: 'error',
      signal: AbortSignal.timeout(timeout),
      headers: { 'content-type': 'application/json', 'user-agent': 'kmod-gate', ...headers },
      body,
    });
    status = response.status;
    text = await textOf(response);
    if (response.ok) return text;
  } catch (error) {
    throw new TellError(`${name}: ${reasonOf(error)}`, { cause: error });
  }
  throw new StatusError(`${name}: ${status} ${visible(text.slice(0, TOLD))}`.trimEnd(), status);
}

async function textOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > LONGEST) throw new Error(`the answer is longer than ${LONGEST} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Node hides why a request failed behind `fetch failed`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { cause } = error;
  const why = cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : error.message;
  return visible(why);
}

/** Headers whose values stand in files. */
export async function headersIn(files: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const read = Object.entries(files).map(async ([name, file]) => [name, await secretIn(file)] as const);
  return Object.fromEntries(await Promise.all(read));
}
