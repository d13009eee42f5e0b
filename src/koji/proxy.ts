/** Web proxies as the environment names them, in the way of curl and of the library that Koji's own client uses. */
import http from 'node:http';
import https from 'node:https';
import { BlockList, isIP, isIPv6, type Socket } from 'node:net';
import tls, { type ConnectionOptions } from 'node:tls';
import { urlToHttpOptions } from 'node:url';
import { SettingsError } from './hub.ts';

/** The variables that are looked at for a hub, the first that is set wins. In lower case they win over upper case. */
const VARIABLES = { 'http:': ['http_proxy', 'all_proxy'], 'https:': ['https_proxy', 'all_proxy'] } as const;

/**
 * The proxy on the way to a hub, if the environment names one and `no_proxy` does not except the hub.
 * @param server the hub's http or https URL
 * @throws SettingsError for a proxy that cannot be used
 */
export function proxyFor(server: string, env: NodeJS.ProcessEnv): URL | undefined {
  const { protocol, hostname, port } = new URL(server);
  const portOf = port || (protocol === 'https:' ? '443' : '80');
  const variables = VARIABLES[protocol as keyof typeof VARIABLES] ?? [];
  const named = variables.flatMap((name) => [name, name.toUpperCase()]).find((name) => env[name]);
  if (named === undefined || isExcepted(env['no_proxy'] || env['NO_PROXY'] || '', hostname, portOf)) return;
  const value = env[named] ?? '';
  const proxy = value.includes('://') ? value : `http://${value}`;
  // The value, which may hold a password, goes into no message.
  if (!URL.canParse(proxy) || !/^https?:$/.test(new URL(proxy).protocol)) {
    throw new SettingsError(
      `${named} in the environment is not an http:// or https:// URL; mend it, or name ${hostname} in no_proxy`,
    );
  }
  const url = new URL(proxy);
  if (isDecodable(url.username) && isDecodable(url.password)) return url;
  throw new SettingsError(
    `${named} in the environment has a user or password that is not in URL encoding: write a % as %25`,
  );
}

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
}

/**
 * `no_proxy` lists hosts and domains, each with or without a port, and networks of addresses; `*` is all.
 * Subdomains of a domain count too. Names are not looked up for their addresses.
 */
function isExcepted(list: string, hostname: string, port: string): boolean {
  const host = withoutBrackets(hostname);
  return list.split(/[\s,]+/).some((entry) => excepts(entry.toLowerCase(), host, port));
}

function excepts(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return isInNetwork(host, entry);
  // An IPv6 address needs brackets before a port only.
  if (isIPv6(entry)) return isInNetwork(host, `${entry}/128`);
  const [, name = '', only] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  if (only !== undefined && only !== port) return false;
  const bare = withoutBrackets(name);
  if (bare !== name) return isInNetwork(host, `${bare}/128`);
  const domain = name.replace(/^\*?\.?/, '');
  if (domain === '') return false;
  return host === domain || (!isIP(host) && host.endsWith(`.${domain}`));
}

/** @param network an address and a number of bits, such as 10.0.0.0/8 */
function isInNetwork(host: string, network: string): boolean {
  const [, address = '', bits] = /^([^/]+)\/(\d+)$/.exec(network) ?? [];
  const version = isIP(address);
  if (version === 0 || version !== isIP(host) || Number(bits) > (version === 4 ? 32 : 128)) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(address, Number(bits), family);
  return list.check(host, family);
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

/** The header that a proxy with a user in its URL wants. */
export function proxyAuthorization({ username, password }: URL): Record<string, string> {
  if (username === '') return {};
  const account = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(account).toString('base64')}` };
}

/** Where a request to the proxy goes. Of itself, Node would take the name for TLS from the Host header: the hub's. */
export function proxyAddress(proxy: URL): https.RequestOptions & { readonly hostname: string } {
  const { protocol, port } = urlToHttpOptions(proxy);
  const hostname = withoutBrackets(proxy.hostname);
  // TLS has no way to ask for an address.
  const servername = isIP(hostname) ? '' : hostname;
  return { protocol, hostname, port, servername };
}

/** A request that may go through a tunnel; `giveUp` ends the making of one (an agent does not see `signal`). */
export interface TunnelledRequest extends https.RequestOptions {
  readonly giveUp?: AbortSignal;
}

/** What an agent tells of where a connection goes. */
type Destination = ConnectionOptions & {
  readonly host: string;
  readonly port: number;
  readonly giveUp?: AbortSignal;
};
type Ready = (error: Error | null, socket?: Socket) => void;

/**
 * An agent for an https server behind a proxy: each connection is a tunnel (CONNECT, RFC 9110). It is handed out when
 * its TLS handshake is over, so that what fails before has surely carried nothing to the server.
 * Requests are TunnelledRequest: nothing else ends a tunnel that is being made.
 */
export function tunnelAgent(proxy: URL, options: https.AgentOptions): https.Agent {
  const agent = new https.Agent(options);
  const createConnection = ({ giveUp, ...to }: Destination, ready: Ready): undefined => {
    openTunnel(proxy, to, giveUp).then((socket) => ready(null, socket), ready);
  };
  return Object.assign(agent, { createConnection });
}

/** A TLS connection inside a tunnel. Throws an Error in words, and leaves nothing open behind it. */
async function openTunnel(proxy: URL, to: Destination, signal: AbortSignal | undefined): Promise<Socket> {
  const target = `${isIPv6(to.host) ? `[${to.host}]` : to.host}:${to.port}`;
  const outer = await new Promise<Socket>((resolve, reject) => {
    const { request } = proxy.protocol === 'https:' ? https : http;
    const headers = { Host: target, ...proxyAuthorization(proxy) };
    const connect = request({
      ...proxyAddress(proxy),
      method: 'CONNECT',
      path: target,
      headers,
      agent: false,
      ...(signal && { signal }),
    });
    connect.once('error', (cause: NodeJS.ErrnoException) =>
      // One address after the other refused has no message.
      reject(new Error(`the proxy ${proxy.host}: ${cause.message || cause.code}`, { cause })),
    );
    connect.once('connect', ({ statusCode, statusMessage }, socket) => {
      if (statusCode === 200) return resolve(socket);
      socket.destroy();
      const no = `the proxy ${proxy.host} does not let us through to ${target}: HTTP ${statusCode} ${statusMessage}`;
      reject(new Error(`${no}; check https_proxy and no_proxy in the environment`));
    });
    connect.end();
  });
  const { path: _, ...secure } = to;
  return new Promise((resolve, reject) => {
    const inner = tls.connect({ ...secure, socket: outer });
    const abort = () => inner.destroy(new Error('the connection was given up'));
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    inner.once('secureConnect', () => {
      signal?.removeEventListener('abort', abort);
      resolve(inner.off('error', reject));
    });
    inner.once('error', reject);
  });
}
