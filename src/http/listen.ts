/** Where pages, probes and metrics listen, and why they cannot. */
import type { FastifyInstance } from 'fastify';
import { ListenError } from './error.ts';

/** `host` has no brackets; port 0 is any free one. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Listening {
  readonly url: string;
  /** Cuts connections that are still open. */
  close(): Promise<void>;
}

/**
 * @param what it is, for people, and the key of `[http]` that says where
 * @throws ListenError
 */
export async function listenAt(
  app: FastifyInstance,
  { host, port }: Address,
  what: { readonly name: string; readonly key: string },
): Promise<Listening> {
  try {
    const url = await app.listen({ host, port });
    return { url, close: () => app.close() };
  } catch (cause) {
    throw new ListenError(describeRefusal({ host, port }, what, cause), { cause });
  }
}

const REFUSALS: Record<string, string> = {
  EADDRINUSE: 'another program listens there',
  EACCES: 'the system does not allow this port',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'the host name is not known',
};

function describeRefusal(
  { host, port }: Address,
  { name, key }: { readonly name: string; readonly key: string },
  error: unknown,
): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return `${name} cannot listen on ${place}: ${REFUSALS[code] ?? message}; choose another address or port with ${key} in [http]`;
}
