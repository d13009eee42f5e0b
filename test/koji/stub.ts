/** A hub of one function on node:http, for tests of what goes wrong on the way. */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connectHub, type HubOptions } from '../../src/koji/client.ts';
import type { Hub } from '../../src/koji/hub.ts';
import { decodeCall, Fault, type XmlValue } from '../../src/koji/xmlrpc.ts';
import { encodeFault, encodeResponse } from '../../src/sim/replies.ts';

export interface StubCall {
  readonly method: string;
  readonly params: readonly XmlValue[];
  readonly headers: IncomingMessage['headers'];
  /** Path and query. */
  readonly url: string;
  /** For replies that are no XML-RPC: once it is written to, or destroyed, the handler's value is ignored. */
  readonly response: ServerResponse;
  /** Number of the connection, from 1. */
  readonly connection: number;
}

export interface Stub {
  readonly server: string;
  readonly calls: StubCall[];
  close(): Promise<void>;
}

/** Start a server; `handle` answers with a value, throws a Fault, or takes the response over. */
export async function startStub(handle: (call: StubCall) => XmlValue | Promise<XmlValue>): Promise<Stub> {
  const calls: StubCall[] = [];
  const connections = new Map<unknown, number>();
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (!connections.has(request.socket)) connections.set(request.socket, connections.size + 1);
    const call: StubCall = {
      ...decodeCall(Buffer.concat(chunks).toString()),
      headers: request.headers,
      url: request.url ?? '',
      response,
      connection: connections.get(request.socket) ?? 0,
    };
    calls.push(call);
    const xml = await answer(handle, call);
    if (response.headersSent || response.destroyed) return;
    response.writeHead(200, { 'Content-Type': 'text/xml' }).end(xml);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    server: `http://127.0.0.1:${port}/kojihub`,
    calls,
    close: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

async function answer(
  handle: (call: StubCall) => XmlValue | Promise<XmlValue>,
  call: StubCall,
): Promise<string> {
  try {
    return encodeResponse(await handle(call));
  } catch (error) {
    if (error instanceof Fault) return encodeFault(error.code, error.text);
    throw error;
  }
}

/** A client that logs in to a stub, and never waits long. */
export function connectStub({ server }: Stub, options: Partial<HubOptions> = {}): Hub {
  return connectHub({
    server,
    authtype: 'password',
    user: 'kmod-gate',
    password: 'hunter2',
    timeout: 5000,
    random: () => 0,
    ...options,
  });
}

/** What a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  const value = await promise.catch((error: Error) => error);
  if (value instanceof Error) return value;
  throw new Error(`not rejected, but resolved with ${JSON.stringify(value)}`);
}
