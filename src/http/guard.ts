/** Who may read, and who may write: tokens, cross-site requests, and how often. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { visible } from '../report/visible.ts';
import { TokensError } from './error.ts';
import { createBuckets } from './limits.ts';
import type { Holder, Keyring } from './tokens.ts';

/** By what people are let in. */
export interface Access {
  /** Undefined: nobody writes, as nobody has a token. */
  readonly keyring?: Keyring;
  /** Reading needs a token too. */
  readonly closed: boolean;
  /** Milliseconds by a clock that goes as time does; unless told, the process's. */
  readonly now?: () => number;
}

/** No. `headers` go with it. */
export interface Refusal {
  readonly status: number;
  readonly error: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Guard {
  /** Whether a request may read; undefined: it may. */
  reading(request: FastifyRequest): Refusal | undefined;
  /** Who asks to write, or why they may not. */
  writing(request: FastifyRequest): Holder | Refusal;
}

/** Each token may write so often; and from an address a token may be wrong so often before it is told to wait. */
const WRITES = { most: 30, every: 2_000 };
const FAILURES = { most: 10, every: 30_000 };

/** These say whether the gate works, and nothing else, to who has no token. */
const OPEN = ['/healthz', '/readyz'];

export const isRefusal = (answer: Holder | Refusal): answer is Refusal => 'status' in answer;

export const isOpen = (request: FastifyRequest): boolean => OPEN.includes(pathOf(request.url));

/** Without the query. */
export const pathOf = (url: string): string => url.replace(/[?#].*$/s, '');

export function createGuard({ keyring, closed, now = () => performance.now() }: Access, log: Logger): Guard {
  const writes = createBuckets(WRITES, now);
  const failures = createBuckets(FAILURES, now);

  /** Whose token that is. A right one is let in however often others were wrong: 256 bits are not guessed. */
  function login(token: string | undefined, request: FastifyRequest, scheme: string): Holder | Refusal {
    const headers = { 'www-authenticate': `${scheme} realm="kmod-gate"` };
    if (token === undefined) return { status: 401, error: WANTED, headers };
    const holder = orRefusal(() => keyring?.holderOf(token));
    if (holder) return holder;
    const { ip, method } = request;
    const wait = failures.take(ip);
    if (wait > 0) return { ...tooOften(wait), error: `Too many wrong tokens came from ${ip}; ${WAIT}` };
    log.warn({ ip, method, path: visible(pathOf(request.url)) }, 'a token that nobody has');
    return { status: 401, error: 'Nobody here has this token; is it complete, and of this gate?', headers };
  }

  return {
    reading(request) {
      if (!closed || isOpen(request)) return undefined;
      // A browser asks for a password where it is told so; the token is that.
      const scheme = request.url.startsWith('/api/') ? 'Bearer' : 'Basic';
      const answer = login(bearerOf(request) ?? passwordOf(request), request, scheme);
      return isRefusal(answer) ? answer : undefined;
    },
    writing(request) {
      const foreign = crossSite(request);
      if (foreign !== undefined) return { status: 403, error: foreign };
      if (!keyring) return { status: 403, error: NO_TOKENS };
      const holder = login(bearerOf(request), request, 'Bearer');
      if (isRefusal(holder)) return holder;
      if (holder.right === 'read')
        return { status: 403, error: `The token of ${holder.name} is for reading alone.` };
      const wait = writes.take(holder.token);
      return wait === 0 ? holder : { ...tooOften(wait), error: `${holder.name} asks too often; ${WAIT}` };
    },
  };
}

const WANTED =
  'A token is wanted: "Authorization: Bearer TOKEN", of a token that "kmod-gate token new" has made for you.';
const NO_TOKENS =
  'Nobody can say anything to this gate by the API: its configuration names no tokens in [http].';
const WAIT = 'try again when Retry-After says.';

const tooOften = (wait: number) => ({
  status: 429,
  headers: { 'retry-after': String(Math.ceil(wait / 1_000)) },
});

/** The log says what is wrong with the file, in which no token can be looked up now. */
function orRefusal(find: () => Holder | undefined): Holder | Refusal | undefined {
  try {
    return find();
  } catch (error) {
    if (!(error instanceof TokensError)) throw error;
    const why = 'The file of tokens cannot be used now, so nobody is let in; the log of kmod-gate says why.';
    return { status: 503, error: why };
  }
}

const bearerOf = ({ headers }: FastifyRequest): string | undefined =>
  /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];

/** Of HTTP's Basic login; the user's name may be any. */
function passwordOf({ headers }: FastifyRequest): string | undefined {
  const [, login] = /^Basic +([\w+/=-]+) *$/i.exec(headers.authorization ?? '') ?? [];
  if (login === undefined) return undefined;
  return /^[^:]*:(\S+)$/.exec(Buffer.from(login, 'base64').toString('utf8'))?.[1];
}

/**
 * Why a request that writes looks as if another site had a browser send it; undefined: it does not. A page of another site
 * knows no token, and no cookie stands for one: this is a second lock.
 */
function crossSite({ headers, host }: FastifyRequest): string | undefined {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return FOREIGN;
  const { origin } = headers;
  if (origin === undefined) return undefined;
  return URL.canParse(origin) && new URL(origin).host === host.toLowerCase() ? undefined : FOREIGN;
}

const FOREIGN = 'A page of another site cannot speak to this gate.';

/** Say no in JSON. */
export const sendRefusal = (reply: FastifyReply, { status, error, headers = {} }: Refusal): FastifyReply =>
  reply.code(status).headers(headers).send({ error });
