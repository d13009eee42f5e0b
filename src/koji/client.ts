/** The Koji hub over XML-RPC: sessions, logins, retries, groups of calls. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import type { Logger } from 'pino';
import { z } from 'zod';
import { readCertificates } from './certificates.ts';
import { failure, isFault, type Purpose, SESSION_OVER, UNEXPECTED, withoutTraceback } from './failure.ts';
import { type Answer, type Answers, type Call, type Hub, HubError, type HubErrorKind } from './hub.ts';
import { negotiateToken } from './kerberos.ts';
import { proxyFor } from './proxy.ts';
import { createTransport, type Transport, TransportError, type TransportOptions } from './transport.ts';
import { decodeResponse, encodeCall, Fault, XmlRpcError, type XmlValue } from './xmlrpc.ts';

export interface HubOptions {
  /** The hub's URL, such as `https://koji.example.org/kojihub`. */
  readonly server: string;
  /** `noauth` can only read. */
  readonly authtype: 'password' | 'ssl' | 'kerberos' | 'noauth';
  readonly user?: string;
  readonly password?: string;
  /** Files in PEM: the client certificate for `ssl`, its key unless `cert` has it, and who signed the hub's. */
  readonly cert?: string;
  readonly key?: string;
  readonly serverca?: string;
  /** Do not ask who signed the hub's certificate: whoever is on the way can then read and change everything. */
  readonly no_ssl_verify?: boolean;
  /** For `kerberos`: a keytab (without it the tickets of the environment count), and the principal to log in as. */
  readonly keytab?: string;
  readonly principal?: string;
  /** Deadline of one call, in milliseconds. */
  readonly timeout: number;
  readonly log?: Logger;
  /** A number from 0 up to 1, to spread retries; `Math.random` unless told. */
  readonly random?: () => number;
  /** Where `https_proxy` and its like are looked for; the process's environment unless told. */
  readonly env?: NodeJS.ProcessEnv;
  /** How calls travel; over HTTP unless told. */
  readonly transport?: (options: TransportOptions) => Transport;
  /** Time as pauses between tries know it; real time unless told. */
  readonly clock?: Clock;
  /** Hears of each request once it is over. */
  readonly onExchange?: (exchange: Exchanged) => void;
}

/** A request to the hub that is over. */
export interface Exchanged {
  /** The calls in it: one, or those of a `multiCall`. */
  readonly methods: readonly string[];
  /** `write`: in the session, or about it. */
  readonly purpose: Purpose;
  readonly ms: number;
  /** What became of it as a whole; of the calls of a `multiCall` single ones may have failed. */
  readonly result: 'ok' | HubErrorKind;
}

interface Clock {
  /** In milliseconds, since whenever. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

const REAL_TIME: Clock = { now: () => performance.now(), sleep: (ms) => sleep(ms) };

const USER_AGENT = 'kmod-gate';
/** Calls of a `readAll` that go into one request. */
const READ_CHUNK = 100;
const READ_TRIES = 3;
/** No read is tried again after so long, in milliseconds. */
const RETRY_WITHIN = 2_000;
/** Mean wait before a read is tried again, in milliseconds; doubled before the next try. */
const RETRY_WAIT = 200;
/** How long `close` waits for the logout, in milliseconds. */
const LOGOUT_WAIT = 5000;

/**
 * A hub, not asked anything yet: the first write logs in.
 * @throws TypeError for settings that contradict each other, SettingsError for files and proxies that cannot be used
 */
export function connectHub(options: HubOptions): Hub {
  const { server, timeout, log, random = Math.random, env = process.env } = options;
  const { transport: connect = createTransport, clock = REAL_TIME, onExchange } = options;
  const writing: Hearing = { log, onExchange, purpose: 'write' };
  if (options.authtype === 'password' && !(options.user && options.password)) {
    throw new TypeError('authtype password needs user and password');
  }
  if (options.authtype === 'ssl' && !options.cert) throw new TypeError('authtype ssl needs cert');
  const proxy = proxyFor(server, env);
  const verify = options.no_ssl_verify ? { rejectUnauthorized: false } : {};
  const open = (to: string, tls: ConnectionOptions, patience = timeout) =>
    connect({
      server: to,
      timeout: patience,
      userAgent: USER_AGENT,
      tls: { ...tls, ...verify },
      proxy,
    });
  // A certificate that is not logged in with may be as old as it likes.
  const { cert, key, ...others } = options;
  const files = options.authtype === 'ssl' ? options : others;
  const { ca } = readCertificates(files, Date.now());
  const transport = open(server, ca);
  let entrance: Transport | undefined;
  const closing = new AbortController();
  /** Certificates are renewed while a gate runs, so each login reads them again. */
  const door: Exchange = async (...call) => {
    if (closing.signal.aborted) throw new TransportError('the client is closed', { sent: false });
    // httpd asks for the certificate after the handshake, for this one location: TLS 1.2 renegotiates, while the
    // way that TLS 1.3 has for it (RFC 8446, 4.6.2) is none that Node offers.
    const { client } = readCertificates(files, Date.now());
    const capped = options.authtype === 'ssl' ? ({ maxVersion: 'TLSv1.2' } as const) : {};
    entrance = open(`${server}/ssllogin`, { ...client, ...capped });
    return exchangeOver(entrance, writing)(...call).finally(() => entrance?.close());
  };
  const session = openSession(options, exchangeOver(transport, writing), door, closing.signal);
  const ask = withRetries(exchangeOver(transport, { ...writing, purpose: 'read' }), random, clock);

  const send = async (method: string, params: readonly XmlValue[], permit?: () => void) => {
    try {
      return await session.call(method, params, permit);
    } catch (error) {
      throw failure(error, method, 'write');
    }
  };
  return {
    read: async (call) => accept(call, await ask(call.method, call.params), 'read'),
    readAll: async (calls) => {
      const chunks = [];
      for (let i = 0; i < calls.length; i += READ_CHUNK) chunks.push(calls.slice(i, i + READ_CHUNK));
      const answers = await Promise.all(chunks.map((chunk) => group(chunk, ask, 'read')));
      return answers.flat() as Answers<typeof calls>;
    },
    write: async (call, permit) => accept(call, await send(call.method, call.params, permit), 'write'),
    async writeAll(calls, permit) {
      const sendAll: Exchange = (method, params) => send(method, params, permit);
      return (await group(calls, sendAll, 'write')) as Answers<typeof calls>;
    },
    skew: transport.skew,
    close: async () => {
      closing.abort();
      transport.close();
      entrance?.close();
      const last = open(server, ca, Math.min(timeout, LOGOUT_WAIT));
      await session
        .end(exchangeOver(last, writing))
        .catch((error) => log?.debug({ err: error }, 'no logout'));
      last.close();
    },
  };
}

/**
 * One request and its reply.
 * Throws Fault, TransportError, XmlRpcError, and TypeError for arguments that cannot be encoded.
 */
type Exchange = (
  method: string,
  params: readonly XmlValue[],
  credentials?: Credentials,
  permit?: () => void,
) => Promise<XmlValue>;

/** What goes with a call: headers, or for hubs before 1.31 a query. */
interface Credentials {
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: URLSearchParams;
}

/** Who hears of requests, and what they are for. */
interface Hearing {
  readonly log: HubOptions['log'];
  readonly onExchange: HubOptions['onExchange'];
  readonly purpose: Purpose;
}

function exchangeOver(transport: Transport, { log, onExchange, purpose }: Hearing): Exchange {
  return async (method, params, credentials, permit) => {
    const start = performance.now();
    const over = (result: Exchanged['result']) => {
      const ms = performance.now() - start;
      log?.debug({ method, ms: Math.round(ms) }, 'hub call');
      onExchange?.({ methods: methodsOf(method, params), purpose, ms, result });
    };
    try {
      // Calls of a session are few, and each is worth a connection that is surely alive.
      const { headers, query } = credentials ?? {};
      const reply = await transport.post(
        encodeCall(method, params),
        headers,
        credentials !== undefined,
        query,
        permit,
      );
      const value = decodeResponse(reply);
      over('ok');
      return value;
    } catch (error) {
      over(failure(error, method, purpose).kind);
      throw error;
    }
  };
}

/** The methods that a request calls. */
function methodsOf(method: string, params: readonly XmlValue[]): string[] {
  const [calls] = params;
  if (method !== 'multiCall' || !Array.isArray(calls)) return [method];
  return calls.map((call) => String((call as { methodName?: XmlValue }).methodName));
}

/** Reads may be asked again, where no answer came quickly: who has waited for one asks later. Throws HubError. */
function withRetries(exchange: Exchange, random: () => number, clock: Clock): Exchange {
  return async (method, params) => {
    const start = clock.now();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await exchange(method, params);
      } catch (error) {
        const failed = failure(error, method, 'read');
        const patient = attempt < READ_TRIES && clock.now() - start < RETRY_WITHIN;
        if (failed.kind !== 'unavailable' || !patient) throw failed;
        await clock.sleep(RETRY_WAIT * 2 ** (attempt - 1) * (0.5 + random()));
      }
    }
  };
}

// ---------------------------------------------------------------------------------------------- session

/** A login, as the hub knows it. The key is a secret. */
interface Login {
  readonly id: number;
  readonly key: string;
  /** Whether the hub reads session headers (1.31 and newer); else the query. */
  readonly byHeader: boolean;
  /** Number of the next call. */
  callnum: number;
  /** A call's reply was lost, and the hub may still be about to carry it out. */
  suspect: boolean;
}

/** Before Koji 1.20 a user has one `krb_principal`. */
const loggedInUser = z.object({
  name: z.string(),
  krb_principals: z.array(z.string()).nullish(),
  krb_principal: z.string().nullish(),
});
const loginReply = z.object({
  'session-id': z.int(),
  'session-key': z.string(),
  'header-auth': z.boolean().default(false),
});

/**
 * The one session, in which calls go one after the other. `call` logs in when it must; `end` logs out.
 *
 * After a lost reply the session is ended before anything else is sent. That is what makes the call's effect
 * final: `logout` waits for a call that the hub is at (both lock the session's row), and one that arrives after
 * it is refused (`kojihub.auth`). Call numbers alone would not do: the hub stores one only together with a
 * change of data, so a mere read never outdates the number of a write that is still on its way.
 */
function openSession(options: HubOptions, exchange: Exchange, door: Exchange, closing: AbortSignal) {
  let login: Login | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const end = async (over: Exchange) => {
    if (login === undefined) return;
    try {
      // Without a call number, so that no confusion of numbers can keep the session alive.
      await over('logout', [], credentialsOf(login));
    } catch (error) {
      if (!isFault(error, SESSION_OVER)) throw error;
    }
    login = undefined;
  };

  const ready = async (): Promise<Login> => {
    if (login?.suspect) {
      await end(exchange).catch((error) => {
        const { message } = failure(error, 'logout', 'read');
        throw new HubError(
          'unavailable',
          'logout',
          `a reply was lost, its session must end first: ${message}`,
        );
      });
    }
    login ??= await enter();
    return login;
  };

  /** Log in, and keep the login only once it is known whose it is. Throws HubError `unavailable`. */
  const enter = async (): Promise<Login> => {
    const fresh = await logIn(options, exchange, door, closing);
    try {
      await assertPrincipal(options, fresh);
      return fresh;
    } catch (cause) {
      await exchange('logout', [], credentialsOf(fresh)).catch(() => {});
      throw new HubError('unavailable', 'login', failure(cause, 'login', 'read').message, { cause });
    }
  };

  /** A hub may make a new user of a principal that it does not know: better no login than one as nobody. */
  const assertPrincipal = async ({ authtype, principal }: HubOptions, current: Login): Promise<void> => {
    if (authtype !== 'kerberos' || principal === undefined) return;
    const reply = await exchange('getLoggedInUser', [], credentialsOf(current));
    const user = loggedInUser.safeParse(reply).data;
    const names = [user?.name, user?.krb_principal, ...(user?.krb_principals ?? [])];
    if (names.includes(principal) || names.includes(principal.split('@')[0])) return;
    throw new Error(`the hub takes us for ${user?.name}, not for ${principal}; see principal and keytab`);
  };

  const callOnce = async (
    method: string,
    params: readonly XmlValue[],
    permit: (() => void) | undefined,
  ): Promise<XmlValue> => {
    const current = await ready();
    const credentials = credentialsOf(current, current.callnum);
    current.callnum += 1;
    try {
      return await exchange(method, params, credentials, permit);
    } catch (error) {
      if (isFault(error, SESSION_OVER)) login = undefined;
      else current.suspect = failure(error, method, 'write').kind === 'unknown';
      throw error;
    }
  };

  const call = async (
    method: string,
    params: readonly XmlValue[],
    permit: (() => void) | undefined,
  ): Promise<XmlValue> => {
    try {
      return await callOnce(method, params, permit);
    } catch (error) {
      if (!isFault(error, SESSION_OVER)) throw error;
      return await callOnce(method, params, permit);
    }
  };

  return {
    end,
    call: (method: string, params: readonly XmlValue[], permit?: () => void): Promise<XmlValue> => {
      const mine = last.then(() => call(method, params, permit));
      last = mine.catch(() => {});
      return mine;
    },
  };
}

/** Whose call it is, and its number where it has one. */
function credentialsOf({ id, key, byHeader }: Login, callnum?: number): Credentials {
  const number = callnum === undefined ? undefined : String(callnum);
  if (!byHeader) {
    const session = { 'session-id': String(id), 'session-key': key };
    return { query: new URLSearchParams({ ...session, ...(number && { callnum: number }) }) };
  }
  const session = { 'Koji-Session-Id': String(id), 'Koji-Session-Key': key };
  // Hubs of 1.31 to 1.34 look for the number in another header: without one they lock no session for the call's time,
  // and `logout` would wait for nothing.
  const numbers = number && { 'Koji-Session-Callnum': number, 'Koji-Callnum': number };
  return { headers: { ...session, ...numbers } };
}

/**
 * By password through the hub itself, else through its `door`, where httpd asks who comes.
 * Throws HubError `unavailable`, since no call was sent and people can mend it, in words that hold nothing of the
 * reply, for that has the key.
 */
async function logIn(
  options: HubOptions,
  hub: Exchange,
  door: Exchange,
  closing: AbortSignal,
): Promise<Login> {
  const { server, authtype, user, password, timeout } = options;
  const failed = (why: string) => new HubError('unavailable', 'login', `login: ${why}`);
  if (authtype === 'noauth') {
    throw new HubError(
      'refused',
      'login',
      'login: this call needs a user; set authtype, and what it needs, in [koji]',
    );
  }
  const enter = async () => {
    if (authtype === 'password') return hub('login', [user ?? '', password ?? '']);
    if (authtype === 'ssl') return door('sslLogin', []);
    const ticket = negotiateToken(new URL(server).hostname, options);
    const Authorization = await before(ticket, timeout, closing);
    return door('sslLogin', [], { headers: { Authorization } });
  };
  const reply = await enter().catch((error) => {
    if (error instanceof XmlRpcError) throw failed('the reply is not XML-RPC');
    if (error instanceof Fault && error.code === 1002) throw failed(withoutTraceback(error.text));
    if (error instanceof TransportError && error.status === 401)
      throw failed(
        authtype === 'ssl'
          ? 'the hub asks for Kerberos, not for a certificate (HTTP 401); see authtype'
          : 'the hub does not take the ticket (HTTP 401)',
      );
    throw new HubError('unavailable', 'login', failure(error, 'login', 'read').message);
  });
  const { data } = loginReply.safeParse(reply);
  if (data === undefined) throw failed('the reply has no session-id and session-key');
  return {
    id: data['session-id'],
    key: data['session-key'],
    byHeader: data['header-auth'],
    callnum: 0,
    suspect: false,
  };
}

/** The library asks KDCs for as long as it likes, and cannot be stopped. */
async function before<T>(work: Promise<T>, ms: number, closing: AbortSignal): Promise<T> {
  const over = AbortSignal.any([AbortSignal.timeout(ms), closing]);
  const late = new Promise<never>((_, reject) => {
    const why = `no Kerberos ticket within ${ms} ms; see krb5.conf, and the network`;
    over.addEventListener('abort', () => reject(new Error(why)), { once: true });
  });
  return Promise.race([work, late]);
}

// ---------------------------------------------------------------------------------------------- replies

/** The reply as the call's schema has it. Throws HubError for one that does not fit. */
function accept<T>(call: Call<T>, reply: XmlValue, purpose: Purpose): T {
  const { success, data, error } = call.reply.safeParse(reply);
  if (success) return data;
  const issue = error.issues[0];
  const path = ['reply', ...(issue?.path ?? [])].join('.');
  throw unexpected(call.method, `${path}: ${issue?.message}`, purpose);
}

function unexpected(method: string, what: string, purpose: Purpose): HubError {
  const kind = purpose === 'write' ? 'unknown' : 'unavailable';
  return new HubError(kind, method, `${method}: unexpected reply: ${what}`);
}

/** Each element is `[value]` or a fault. */
const multiReply = z.array(
  z.union([
    z.tuple([z.custom<XmlValue>(() => true)]),
    z
      .object({ faultCode: z.int(), faultString: z.string(), traceback: z.array(z.string()).catch([]) })
      // Of an exception that is none of Koji's own, only the traceback names the class.
      .transform(
        ({ faultCode: code, faultString, traceback }) =>
          new Fault(code, (code === UNEXPECTED && traceback.at(-1)?.trim()) || faultString),
      ),
  ]),
);

/** Calls in one `multiCall`. Throws HubError if there is no reply for the whole group. */
async function group(
  calls: readonly Call<unknown>[],
  exchange: Exchange,
  purpose: Purpose,
): Promise<Answer<unknown>[]> {
  if (calls.length === 0) return [];
  const elements = calls.map(({ method, params }) => ({ methodName: method, params }));
  const call = { method: 'multiCall', params: [elements], reply: multiReply };
  const results = accept(call, await exchange(call.method, call.params), purpose);
  if (results.length !== calls.length)
    throw unexpected(call.method, `${results.length} answers to ${calls.length} calls`, purpose);
  return calls.map((call, i) => answer(call, results[i], purpose));
}

function answer(
  call: Call<unknown>,
  result: readonly [XmlValue] | Fault | undefined,
  purpose: Purpose,
): Answer<unknown> {
  try {
    if (!Array.isArray(result)) throw result;
    return { ok: true, value: accept(call, result[0], purpose) };
  } catch (error) {
    return { ok: false, error: failure(error, call.method, purpose) };
  }
}
