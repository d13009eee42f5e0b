/** WaiverDB over HTTP: all records of a testcase, page by page, and new ones. */
import { z } from 'zod';
import type { Wanted } from './rows.ts';

export interface WaiverDbOptions {
  /** Of the API, without a slash at the end. */
  readonly url: string;
  /** Of one request, in ms. */
  readonly timeout?: number;
  /** Cuts off what is under way. */
  readonly stop?: AbortSignal;
  /** The token that writes are made with; read anew for each. */
  readonly token?: () => string | undefined;
}

/** What a new record says. */
export interface NewRecord extends Wanted {
  readonly subject: string;
  readonly scenario: string | null;
  readonly waived: boolean;
  readonly comment: string;
  /** In whose name; absent: the token's. */
  readonly username?: string;
}

export interface WaiverDb {
  /** All records of koji builds of a testcase, obsolete ones too: nothing that is there can be missed. Throws WaiverDbError. */
  records(wanted: Wanted): Promise<unknown[]>;
  /** @returns its number. Throws WaiverDbError. */
  create(record: NewRecord): Promise<number>;
}

/** A request that brought no answer that can be used. */
export class WaiverDbError extends Error {
  override readonly name = 'WaiverDbError';
  /** Whether what was asked may have been done all the same. */
  readonly mayBeDone: boolean;
  constructor(message: string, mayBeDone: boolean, options?: ErrorOptions) {
    super(message, options);
    this.mayBeDone = mayBeDone;
  }
}

/** Records a page, how many pages are read at the most, and bytes of a page. */
const PAGE = 100;
const PAGES = 500;
const BYTES = 8 * 1024 * 1024;

const page = z.object({ data: z.array(z.unknown()), next: z.string().nullable() });
const created = z.object({ id: z.int().min(1) });

/** A look at a WaiverDB that changes nothing there. */
export interface WaiverDbProbe {
  /** What it says of itself; undefined where it says nothing. Throws WaiverDbError. */
  about(): Promise<{ readonly version: string; readonly authMethod: string } | undefined>;
  /** Whether it has any waiver of a product version, of whatever testcase. Throws WaiverDbError. */
  knows(productVersion: string): Promise<boolean>;
}

const about = z.object({ version: z.string(), auth_method: z.string() });

export function probeWaiverDb(options: WaiverDbOptions): WaiverDbProbe {
  const ask = asking(options);
  return {
    async about() {
      const said = about.safeParse(await ask('/about'));
      return said.success ? { version: said.data.version, authMethod: said.data.auth_method } : undefined;
    },
    async knows(productVersion) {
      const query = new URLSearchParams({ product_version: productVersion, limit: '1' });
      const answer = page.safeParse(await ask(`/waivers/?${query}`));
      if (!answer.success) throw new WaiverDbError('what it sends is no page of waivers', false);
      return answer.data.data.length > 0;
    },
  };
}

/** @returns sends a request: of a body a write; throws WaiverDbError */
const asking =
  ({ url, timeout = 30_000, stop, token = () => undefined }: WaiverDbOptions) =>
  async (path: string, body?: unknown): Promise<unknown> => {
    const bearer = body === undefined ? undefined : token();
    const response = await fetch(`${url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      // Neither a token nor a question goes to another host.
      redirect: 'manual',
      signal: AbortSignal.any([AbortSignal.timeout(timeout), ...(stop ? [stop] : [])]),
    }).catch((cause: unknown) => {
      throw new WaiverDbError(`does not answer: ${whyOf(cause)}`, true, { cause });
    });
    const text = await textOf(response).catch((cause: unknown) => {
      throw new WaiverDbError(`its answer broke off: ${whyOf(cause)}`, true, { cause });
    });
    if (!response.ok) throw new WaiverDbError(refusal(response.status, text), response.status >= 500);
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new WaiverDbError('does not answer in JSON: is the URL that of its API?', true, { cause });
    }
  };

export function connectWaiverDb(options: WaiverDbOptions): WaiverDb {
  const ask = asking(options);
  return {
    async records({ testcase, productVersion }) {
      const found = new Map<unknown, unknown>();
      for (let number = 1; number <= PAGES; number++) {
        const query = new URLSearchParams({
          ...{ subject_type: 'koji_build', testcase, product_version: productVersion },
          ...{ include_obsolete: 'true', page: String(number), limit: String(PAGE) },
        });
        const answer = page.safeParse(await ask(`/waivers/?${query}`));
        if (!answer.success) throw new WaiverDbError('what it sends is no page of waivers', false);
        // What is new meanwhile moves the rest down: some come twice, none is passed over.
        for (const row of answer.data.data) found.set(idOf(row) ?? Symbol('no number'), row);
        if (answer.data.next === null) return [...found.values()];
      }
      throw new WaiverDbError(`has over ${PAGES * PAGE} waivers of ${testcase}`, false);
    },
    async create({ subject, testcase, productVersion, scenario, waived, comment, username }) {
      const answer = await ask('/waivers/', {
        ...{ subject_type: 'koji_build', subject_identifier: subject, testcase, waived, comment },
        ...{ product_version: productVersion, scenario },
        ...(username !== undefined && { username }),
      });
      const made = created.safeParse(answer);
      if (made.success) return made.data.id;
      throw new WaiverDbError('does not tell the number of the waiver that it made', true);
    },
  };
}

const idOf = (row: unknown): unknown =>
  typeof row === 'object' && row !== null ? Reflect.get(row, 'id') : undefined;

async function textOf(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > BYTES) throw new Error(`over ${BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** WaiverDB tells why in `message`, or in `validation_error`. */
function refusal(status: number, text: string): string {
  let why = '';
  try {
    const { message, validation_error: errors } = JSON.parse(text);
    why = typeof message === 'string' ? message : errors === undefined ? '' : JSON.stringify(errors);
  } catch {
    // A proxy's page tells nothing more.
  }
  const where = status >= 300 && status < 400 ? ', it sends one on to another URL' : '';
  return `HTTP ${status}${where}${why === '' ? '' : `: ${why.slice(0, 300)}`}`;
}

function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? cause.message || error.message : error.message;
}
