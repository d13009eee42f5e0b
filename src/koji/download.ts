/** Files of a hub over HTTP, by `topurl`: as they come, and no further than they are read. */
import type { IncomingMessage } from 'node:http';
import type { ConnectionOptions } from 'node:tls';
import { readCertificates } from './certificates.ts';
import type { HubOptions } from './client.ts';
import { proxyFor } from './proxy.ts';
import { replyTo, routeFor, words } from './route.ts';

/** A file that cannot be had; the message says which, why, and what to do. */
export class DownloadError extends Error {
  override readonly name = 'DownloadError';
  /** Whether another try, later, may have it. */
  readonly passes: boolean;
  constructor(message: string, passes = false) {
    super(message);
    this.passes = passes;
  }
}

/** A file on its way. Its parts throw DownloadError; `close` ends it at any time. */
export interface Download {
  readonly parts: AsyncIterator<Uint8Array>;
  close(): void;
}

/** Begin to fetch a file. Throws DownloadError, and SettingsError for a proxy that cannot be used. */
export type Fetch = (url: string) => Promise<Download>;

const REDIRECTS = 5;
/** Most bytes of a file: rpms of kernels have two hundred million. */
const FILE_MAX = 1024 ** 3;

/**
 * Fetches files as the hub itself is asked: through the same proxies, and, where they are on the hub's own host, with the
 * same trust in its certificate. Nobody logs in.
 * @param options.timeout how long nothing may come, in milliseconds
 */
export function createFetch(
  options: Pick<HubOptions, 'server' | 'timeout' | 'serverca' | 'no_ssl_verify' | 'env'>,
): Fetch {
  const { server, timeout, env = process.env } = options;
  const trust = (url: URL): ConnectionOptions => {
    if (url.hostname !== new URL(server).hostname) return {};
    const { serverca, no_ssl_verify } = options;
    const { ca } = readCertificates(serverca === undefined ? {} : { serverca }, Date.now());
    return { ...ca, ...(no_ssl_verify && { rejectUnauthorized: false }) };
  };
  const ask = async (url: URL, stop: AbortController): Promise<IncomingMessage> => {
    const proxy = proxyFor(url.href, env);
    const route = routeFor(url, trust(url), proxy);
    const to = route.to(url);
    const headers = { ...to.headers, Host: url.host, 'User-Agent': 'kmod-gate' };
    try {
      return await replyTo({ ...to, method: 'GET', agent: route.agent(false), headers }, '', stop.signal);
    } catch (error) {
      if (stop.signal.aborted) throw stop.signal.reason;
      throw new DownloadError(`${url.href}: ${route.problem(error, words)}; check topurl in [koji]`, true);
    }
  };
  return async (first) => {
    const stop = new AbortController();
    const patience = createPatience(timeout, () =>
      stop.abort(
        new DownloadError(`${first}: nothing came within ${timeout} ms; try again, or see timeout`, true),
      ),
    );
    patience.begin();
    try {
      let url = new URL(first);
      for (let hops = 0; ; hops++) {
        const reply = await ask(url, stop);
        const next = redirectOf(reply, url);
        if (!next) {
          const close = () => {
            patience.end();
            reply.destroy();
          };
          return { parts: partsOf(reply, first, stop.signal, patience, close), close };
        }
        reply.destroy();
        if (hops === REDIRECTS) throw new DownloadError(`${first}: more than ${REDIRECTS} redirects`);
        url = next;
      }
    } catch (error) {
      patience.end();
      throw error;
    }
  };
}

/** Something that is waited for, now and then, and each time only for so long. */
function createPatience(ms: number, late: () => void) {
  let timer: NodeJS.Timeout | undefined;
  return {
    begin() {
      timer = setTimeout(late, ms);
    },
    end: () => clearTimeout(timer),
  };
}

/** Where a reply leads; null of the file itself. Throws DownloadError of anything else. */
function redirectOf(reply: IncomingMessage, url: URL): URL | null {
  const { statusCode: status = 0, statusMessage = '', headers } = reply;
  if (status === 200) return null;
  reply.destroy();
  const to = headers.location;
  if (status >= 301 && status <= 308 && to !== undefined && URL.canParse(to, url.href)) {
    const next = new URL(to, url);
    if (next.protocol === 'https:' || next.protocol === url.protocol) return next;
    const other = url.protocol === 'https:' ? 'is not https' : 'is neither http nor https';
    throw new DownloadError(`${url.href}: leads to ${next.href}, which ${other}`);
  }
  const why = status === 404 ? 'there is no such file (HTTP 404)' : `HTTP ${status} ${statusMessage}`;
  throw new DownloadError(`${url.href}: ${why}; check topurl in [koji]`, status >= 500 || status === 429);
}

async function* partsOf(
  reply: IncomingMessage,
  name: string,
  signal: AbortSignal,
  patience: ReturnType<typeof createPatience>,
  close: () => void,
): AsyncGenerator<Uint8Array> {
  const promised = Number(reply.headers['content-length'] ?? Number.NaN);
  let size = 0;
  try {
    for await (const part of reply as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > FILE_MAX) throw new DownloadError(`${name}: longer than ${FILE_MAX} bytes`);
      // Whoever takes the parts may take his time.
      patience.end();
      yield part;
      patience.begin();
    }
    if (size < promised) throw new Error('it ended too early');
  } catch (error) {
    if (error instanceof DownloadError) throw error;
    if (signal.reason instanceof DownloadError) throw signal.reason;
    throw new DownloadError(`${name}: broke off after ${size} bytes: ${words(error)}; try again`, true);
  } finally {
    close();
  }
}

/** What names a build's folder, as `getBuild` answers. */
interface BuildPath {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  readonly volume_name?: string | null;
}

/** What names an rpm's file, as `listBuildRPMs` answers. */
interface RpmPath extends Omit<BuildPath, 'volume_name'> {
  readonly arch: string;
}

/** Where a build's rpm is (koji.PathInfo: `volumedir`, `build`, `rpm`). */
export function rpmUrl(topurl: string, build: BuildPath, rpm: RpmPath): string {
  const { volume_name: volume } = build;
  const path = [
    ...(volume && volume !== 'DEFAULT' ? ['vol', volume] : []),
    ...['packages', build.name, build.version, build.release, rpm.arch],
    `${rpm.name}-${rpm.version}-${rpm.release}.${rpm.arch}.rpm`,
  ];
  return `${topurl.replace(/\/+$/, '')}/${path.map(encodeURIComponent).join('/')}`;
}
