/** XML-RPC over HTTP: one POST in, the text of the reply out, within a deadline. */
import type { IncomingMessage } from 'node:http';
import type https from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { unzipSync } from 'node:zlib';
import { replyTo, routeFor, words } from './route.ts';

export interface TransportOptions {
  /** The hub's URL, such as `https://koji.example.org/kojihub`. */
  readonly server: string;
  /** Deadline of one call in milliseconds: from taking a connection, or making one, to the end of the reply. */
  readonly timeout: number;
  readonly userAgent: string;
  /** Certificates and the range of TLS versions, for an https server. */
  readonly tls?: ConnectionOptions;
  /** The proxy to go through. */
  readonly proxy?: URL | undefined;
  /** Most bytes of a reply, packed or unpacked; 64 MiB unless told. */
  readonly maxReply?: number;
  /** Most kept connections, and so calls, at one time; 8 unless told. */
  readonly maxSockets?: number;
}

export interface Transport {
  /**
   * POST a document. Throws TransportError.
   * `fresh` takes a connection of its own: on a kept one, the server's closing of it while idle looks just like
   * a reply lost. `query` goes behind the URL, and into no message. `permit` is asked once a connection is there: what it
   * throws is thrown, and nothing was sent.
   */
  post(
    body: string,
    headers?: Readonly<Record<string, string>>,
    fresh?: boolean,
    query?: URLSearchParams,
    permit?: () => void,
  ): Promise<string>;
  /** How far the server's clock was ahead of this one at its newest reply, in ms; HTTP tells whole seconds. */
  skew(): number | undefined;
  /** Abort what is under way and let connections go. */
  close(): void;
}

/** A call that brought no reply. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  /** True if the hub may have carried the call out; false if it surely did not. */
  readonly sent: boolean;
  /** HTTP status, if there was one. */
  readonly status: number | undefined;

  constructor(message: string, options: { sent: boolean; status?: number; cause?: unknown }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.sent = options.sent;
    this.status = options.status;
  }
}

/** Connects to nothing yet. Throws a TypeError for a `server` that is no http(s) URL. */
export function createTransport(options: TransportOptions): Transport {
  const url = URL.canParse(options.server) ? new URL(options.server) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(`server: ${JSON.stringify(options.server)} is not an http or https URL`);
  }
  const { timeout, userAgent, maxReply = 64 * 2 ** 20, maxSockets = 8, proxy, tls = {} } = options;
  const route = routeFor(url, tls, proxy);
  const closed = new Error('the client is closed');
  let closing = false;
  const underWay = new Set<AbortController>();
  const inTurn = turns(maxSockets);
  let skew: number | undefined;

  const agent = route.agent(true);
  const way = proxy ? `connection through the proxy ${proxy.host}` : 'connection';
  const requestOf = (
    body: string,
    headers: Readonly<Record<string, string>>,
    fresh: boolean,
    query: URLSearchParams | undefined,
  ): https.RequestOptions => {
    const to = route.to(query ? new URL(`?${query}`, url) : url);
    return {
      ...to,
      method: 'POST',
      agent: fresh ? route.agent(false) : agent,
      headers: {
        ...to.headers,
        Host: url.host,
        'User-Agent': userAgent,
        'Content-Type': 'text/xml',
        'Content-Length': Buffer.byteLength(body),
        'Accept-Encoding': 'gzip, deflate',
        ...headers,
      },
    };
  };

  const post: Transport['post'] = async (body, headers = {}, fresh = false, query, permit) => {
    if (closing) throw new TransportError(closed.message, { sent: false });
    const stop = new AbortController();
    underWay.add(stop);
    let sent = false;
    let forbidden: unknown;
    const asked =
      permit &&
      (() => {
        try {
          permit();
        } catch (error) {
          forbidden = error;
          throw error;
        }
      });
    const late = () => new Error(`no ${sent ? 'reply' : way} within ${timeout} ms`);
    const failed = (what: string, cause: unknown) =>
      new TransportError(`${url.host}: ${what}`, { sent, cause });
    const exchange = async () => {
      const timer = setTimeout(() => stop.abort(late()), timeout);
      try {
        const request = requestOf(body, headers, fresh, query);
        const connected = () => {
          sent = true;
        };
        const reply = await replyTo(request, body, stop.signal, connected, asked);
        skew = skewOf(reply) ?? skew;
        return judge(reply, await textOf(reply, maxReply));
      } finally {
        clearTimeout(timer);
      }
    };
    try {
      return await (fresh ? exchange() : inTurn(exchange, stop.signal));
    } catch (error) {
      if (error instanceof TransportError || (error === forbidden && error !== undefined)) throw error;
      if (stop.signal.aborted) throw failed(words(stop.signal.reason), stop.signal.reason);
      throw failed(route.problem(error, advised), error);
    } finally {
      underWay.delete(stop);
    }
  };

  const close = () => {
    closing = true;
    for (const stop of underWay) stop.abort(closed);
    agent.destroy();
  };
  return { post, skew: () => skew, close };
}

/**
 * Turns for calls, first come, first served: no more than `size` at a time.
 * `signal` ends the waiting for a turn; what is at its turn has to see to itself.
 */
function turns(size: number): <T>(call: () => Promise<T>, signal: AbortSignal) => Promise<T> {
  let free = size;
  const waiting = new Set<() => void>();
  const turn = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      waiting.add(resolve);
      const giveUp = () => waiting.delete(resolve) && reject(signal.reason);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  const next = () => {
    const [first] = waiting;
    if (first === undefined) {
      free += 1;
      return;
    }
    waiting.delete(first);
    first();
  };
  return async (call, signal) => {
    if (free > 0) free -= 1;
    else await turn(signal);
    try {
      signal.throwIfAborted();
      return await call();
    } finally {
      next();
    }
  };
}

/** By the Date header, which is the second that had begun. */
function skewOf({ headers: { date = '' } }: IncomingMessage): number | undefined {
  const theirs = Date.parse(date) + 500;
  return Number.isNaN(theirs) ? undefined : theirs - Date.now();
}

/** With what to do about it, for an error of a connection to the hub itself. */
function advised(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const said = words(error).trim();
  const advice = TLS_ADVICE.find(([pattern]) => pattern.test(`${code} ${said}`));
  return advice ? `${OPENSSL.exec(said)?.[1] ?? said}: ${advice[1]}` : said;
}

/** `…:error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:…`, of which one part says something. */
const OPENSSL = /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/;

/** What TLS failures mean here (codes of Node and alerts of OpenSSL). */
const TLS_ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /UNABLE_TO_(VERIFY|GET)|SELF_SIGNED/,
    "the hub's certificate is signed by nobody trusted here; name its authority with serverca",
  ],
  [/CERT_HAS_EXPIRED/, "the hub's certificate has expired; tell its admin"],
  [/ALTNAME_INVALID/, "the hub's certificate is for another name; check server"],
  [
    /alert (unknown ca|bad certificate|certificate (unknown|required|expired|revoked))|alert handshake failure/i,
    'the hub does not take the client certificate; see cert',
  ],
  [
    /alert protocol version/i,
    'the hub must allow TLS 1.2 at /ssllogin (SSLProtocol of httpd), since TLS 1.3 asks for a client certificate in a way that Node does not have; or log in by Kerberos',
  ],
];

async function textOf(reply: IncomingMessage, maxReply: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxReply) throw tooLong(maxReply);
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (!/gzip|deflate/.test(reply.headers['content-encoding'] ?? '')) return bytes.toString();
  try {
    // At once: to hand a reply to another thread costs several times as much, and its XML is read here anyway.
    return unzipSync(bytes, { maxOutputLength: maxReply }).toString();
  } catch (error) {
    throw error instanceof RangeError ? tooLong(maxReply) : error;
  }
}

function tooLong(maxReply: number): TransportError {
  return new TransportError(`the reply is longer than ${maxReply} bytes; ask for less at a time`, {
    sent: true,
  });
}

/** Answers with a status that no hub gives after it began to carry out a call (`kojixmlrpc.application`). */
const NOT_CARRIED_OUT = (status: number) => (status >= 300 && status < 500) || status === 503;

/** The reply's text, if it can be XML-RPC; a proxy's or a login page's HTML is an error that quotes its title. */
function judge(reply: IncomingMessage, text: string): string {
  const { statusCode: status = 0, statusMessage = '', headers } = reply;
  const type = headers['content-type'] ?? '';
  if (status === 200 && (type === '' || (/xml/.test(type) && !/html/.test(type)))) return text;
  const title = /<title>([^<]*)<\/title>/i.exec(text)?.[1] ?? (/html/.test(type) ? '' : text);
  const quote = title.trim().replace(/\s+/g, ' ').slice(0, 200);
  // Without its query, which may hold a session's key.
  const where = headers.location === undefined ? '' : `, redirects to ${headers.location.split('?')[0]}`;
  const what = status === 200 ? `HTTP 200 with ${type}, not XML` : `HTTP ${status} ${statusMessage}${where}`;
  throw new TransportError(quote === '' ? what : `${what}: ${quote}`, {
    sent: !NOT_CARRIED_OUT(status),
    status,
  });
}
