/** The way to a server over HTTP: straight, or through the proxy that the environment names. */
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { urlToHttpOptions } from 'node:url';
import { proxyAddress, proxyAuthorization, type TunnelledRequest, tunnelAgent } from './proxy.ts';

export interface Route {
  /** Connections of this way; kept after a request if that is wanted. */
  agent(keepAlive: boolean): http.Agent;
  /** Where a request for a URL of the server goes. */
  to(url: URL): https.RequestOptions;
  /** What an error of a connection says, and whose it is. `advised`: of the server's own, with what to do about it. */
  problem(error: unknown, advised: (error: unknown) => string): string;
}

/**
 * @param server http or https
 * @param tls certificates and the range of TLS versions, for an https server
 */
export function routeFor(server: URL, tls: ConnectionOptions, proxy: URL | undefined): Route {
  const secure = server.protocol === 'https:';
  return {
    // Without a limit of its own: an agent that fails to make a connection leaves those in its queue there.
    agent(keepAlive) {
      // What is told of the server's certificate is no word on a proxy's.
      const settings = { keepAlive, ...(secure && tls) };
      if (secure && proxy) return tunnelAgent(proxy, settings);
      return secure || proxy?.protocol === 'https:' ? new https.Agent(settings) : new http.Agent(settings);
    },
    // A proxy is asked in place of an http server, with the whole URL as the path.
    to(url) {
      if (secure || !proxy) return { ...urlToHttpOptions(url), ...tls };
      return { ...proxyAddress(proxy), path: url.href, headers: proxyAuthorization(proxy) };
    },
    problem: (error, advised) =>
      secure || !proxy ? advised(error) : `the proxy ${proxy.host}: ${words(error)}`,
  };
}

/**
 * Ask; `connected` is told as soon as something can have reached the server. The signal ends this at any time.
 * @param permit asked right before the first byte is handed to the system; what it throws ends the request
 */
export function replyTo(
  options: TunnelledRequest,
  body: string,
  signal: AbortSignal,
  connected: () => void = () => undefined,
  permit?: () => void,
): Promise<IncomingMessage> {
  const { request } = options.protocol === 'https:' ? https : http;
  const asked: TunnelledRequest = { ...options, signal, giveUp: signal };
  return new Promise((resolve, reject) => {
    const outgoing = request(asked);
    const send = () => {
      try {
        permit?.();
      } catch (error) {
        outgoing.destroy(error as Error);
        return;
      }
      connected();
      if (permit) outgoing.end(body);
    };
    outgoing.once('socket', (socket) => {
      if (socket.connecting) socket.once('encrypted' in socket ? 'secureConnect' : 'connect', send);
      else send();
    });
    outgoing.on('response', resolve).on('error', reject);
    if (!permit) outgoing.end(body);
    // A request without a connection tells of its end only when that connection has failed.
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Node's AggregateError (one address after the other refused) has no message of its own. */
export function words(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(words).join(', ');
  return error instanceof Error ? error.message : String(error);
}
