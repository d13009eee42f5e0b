/** A simulated Koji on a socket: real XML-RPC over HTTP, with the faults that a network adds. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { decodeCall, Fault, XmlRpcError, type XmlValue } from '../koji/xmlrpc.ts';
import { encodeFault, encodeResponse } from './replies.ts';
import { writeRpm } from './rpmfile.ts';
import type { SessionClaim } from './sessions.ts';
import type { World } from './world.ts';

/**
 * What goes wrong with a request. `drop-before`: the connection closes and nothing was done. `drop-after`: it
 * was done, and the reply is lost. `html-502`: a proxy answers in the hub's place. `offline`: fault 1014.
 */
export type Mishap = 'none' | 'drop-before' | 'drop-after' | 'html-502' | 'offline';

/** Where to listen, and what goes wrong. */
export interface ServeOptions {
  readonly host?: string;
  /** 0 takes any free port. */
  readonly port?: number;
  /** Header in which a web server in front names whom it has verified; only for `sslLogin`, and not from anybody else. */
  readonly verifiedBy?: string;
  /** Asked for each call; `n` counts requests from 1. */
  readonly faults?: (method: string, n: number) => Mishap;
  /** What else it serves; undefined: nothing there, and the hub answers. */
  readonly pages?: (request: IncomingMessage) => Page | undefined;
  /** How far the clock in the Date header is ahead, in ms; 0 unless told. */
  readonly ahead?: number;
}

/** An answer that is not the hub's. */
export interface Page {
  readonly status: number;
  readonly type: string;
  readonly content: string;
}

/** A request as it came. */
export interface ServedRequest {
  readonly method: string;
  /** Methods inside a multiCall. */
  readonly inner: readonly string[];
  readonly headers: IncomingHttpHeaders;
}

/** A server that runs. */
export interface WorldServer {
  /** The hub's address, for a client's `server` setting. */
  readonly url: string;
  /** Where its files are: the rpms of kernels whose types the scenario has. */
  readonly topurl: string;
  /** Where its web pages would be. */
  readonly weburl: string;
  /** Every call so far, in order. */
  readonly requests: readonly ServedRequest[];
  close(): Promise<void>;
}

/** Serve the world's hub. The world's clock stands still unless somebody ticks it. */
export async function serveWorld(world: World, options: ServeOptions = {}): Promise<WorldServer> {
  const { host = '127.0.0.1', port = 0, faults = () => 'none', verifiedBy, pages, ahead = 0 } = options;
  const requests: ServedRequest[] = [];
  const server = createServer((request, response) => {
    response.setHeader('Date', new Date(Date.now() + ahead).toUTCString());
    answer(world, request, response, requests, { faults, verifiedBy, pages }).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else send(response, 500, 'text/plain', `Internal error: ${error}\n`);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${bound}/kojihub`,
    topurl: `http://${host}:${bound}/kojifiles`,
    weburl: `http://${host}:${bound}/koji`,
    requests,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

async function answer(
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
  requests: ServedRequest[],
  {
    faults,
    verifiedBy,
    pages,
  }: {
    faults: NonNullable<ServeOptions['faults']>;
    verifiedBy: string | undefined;
    pages: ServeOptions['pages'];
  },
): Promise<void> {
  const page = pages?.(request);
  if (page) return send(response, page.status, page.type, page.content);
  if (request.method === 'GET' && request.url?.startsWith('/kojifiles/')) {
    const file = fileAt(world, decodeURI(request.url.slice('/kojifiles/'.length)));
    if (file) return send(response, 200, 'application/x-rpm', file);
    return send(response, 404, 'text/html', '<title>404 Not Found</title>');
  }
  if (request.method !== 'POST') {
    const text = 'Method Not Allowed\nThis is an XML-RPC server. Only POST requests are accepted.\n';
    return send(response, 405, 'text/plain', text, { Allow: 'POST' });
  }
  let call: ReturnType<typeof decodeCall>;
  try {
    call = decodeCall(await body(request));
  } catch (error) {
    if (!(error instanceof XmlRpcError)) throw error;
    return send(response, 400, 'text/plain', `Bad Request: ${error.message}\n`);
  }
  requests.push({ method: call.method, inner: innerMethods(call), headers: request.headers });
  const mishap = faults(call.method, requests.length);
  if (mishap === 'drop-before') return void request.socket.destroy();
  if (mishap === 'html-502') return send(response, 502, 'text/html', BAD_GATEWAY);
  const reply =
    mishap === 'offline'
      ? encodeFault(1014, 'server is offline')
      : answerCall(world, call, request, verifiedBy);
  if (mishap === 'drop-after') return void request.socket.destroy();
  const zipped = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  if (zipped) return send(response, 200, 'text/xml', gzipSync(reply), { 'Content-Encoding': 'gzip' });
  send(response, 200, 'text/xml', reply);
}

/** `packages/NAME/VERSION/RELEASE/ARCH/RPM` (koji.PathInfo): the one of a kernel's rpms that holds the kernel. */
function fileAt({ state }: World, path: string): Buffer | undefined {
  const [folder, name, version, release, arch, file] = path.split('/');
  const kernel = state.scenario.kernels.find(({ nvr }) => nvr === `${name}-${version}-${release}`);
  if (folder !== 'packages' || !kernel?.types) return undefined;
  const rpm = state.rpms.find(
    (one) => one.arch === arch && `${one.name}-${one.version}-${one.release}.${one.arch}.rpm` === file,
  );
  const image = rpm?.files?.find((one) => /\/vmlinuz$/.test(one));
  return rpm && image && !rpm.isLost ? writeRpm(rpm, [{ path: image, data: kernel.types }]) : undefined;
}

const BAD_GATEWAY =
  '<!DOCTYPE HTML><html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>\n';

/** The document that the hub sends for a call; `headers` (in lower case) and `url` say whose session it is. */
export function answerCall(
  world: World,
  call: ReturnType<typeof decodeCall>,
  { headers, url = '' }: Pick<IncomingMessage, 'headers' | 'url'>,
  verifiedBy?: string,
): string {
  const session = claim(headers) ?? claimInUrl(url);
  const verified = verifiedBy === undefined ? undefined : headers[verifiedBy];
  try {
    const who = { ...(session && { session }), ...(typeof verified === 'string' && { verified }) };
    return encodeResponse(world.call({ ...call, ...who }));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return encodeFault(error.code, error.text);
  }
}

/** The session that a request's headers claim; none without Koji-Session-Id. */
function claim(headers: IncomingHttpHeaders): SessionClaim | undefined {
  const id = headers['koji-session-id'];
  if (id === undefined) return undefined;
  const callnum = headers['koji-session-callnum'];
  return {
    id: Number(id),
    key: String(headers['koji-session-key'] ?? ''),
    callnum: callnum === undefined ? null : Number(callnum),
  };
}

/** What clients of hubs before 1.31 say behind the URL. */
function claimInUrl(url: string): SessionClaim | undefined {
  if (!url.includes('?')) return undefined;
  const { searchParams: query } = new URL(url, 'http://hub');
  const [id, key, callnum] = [query.get('session-id'), query.get('session-key'), query.get('callnum')];
  if (id === null) return undefined;
  return { id: Number(id), key: key ?? '', callnum: callnum === null ? null : Number(callnum) };
}

function innerMethods(call: { readonly method: string; readonly params: readonly XmlValue[] }): string[] {
  const calls = call.method === 'multiCall' ? call.params[0] : [];
  if (!Array.isArray(calls)) return [];
  return calls.map((each) => String((each as { methodName?: XmlValue }).methodName));
}

async function body(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  content: string | Buffer,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { ...headers, 'Content-Type': type }).end(content);
}
