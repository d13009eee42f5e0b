/** A proxy before a hub, and all that goes wrong on the way, drawn by a seed. */
import { once } from 'node:events';
import http, { type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProxyOptions {
  /** The same seed draws the same mishaps, in the order of the requests. */
  readonly seed: number;
  /** How many of the requests meet with one, from 0 to 1. */
  readonly rate: number;
  /**
   * How often calls of one method are struck at most: a gate gives up a build whose submission was lost four times.
   */
  readonly most: number;
  /** Longest delay in milliseconds; the client should have more patience than that. */
  readonly delay: number;
}

/** A mishap that has struck, and the method that was called. */
export interface Struck {
  readonly mishap: Mishap;
  readonly method: string;
}

export interface HubProxy {
  /** Address to use in the hub's place. */
  readonly url: string;
  /** What has gone wrong so far, in order. */
  readonly struck: readonly Struck[];
  /** Hang up on all clients, and wait for what is still on its way to the hub. */
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

/** A request in the proxy's hands, and what may be done with it. */
interface Passage {
  /** A number from 0 up to 1, this request's own. */
  readonly chance: number;
  readonly pause: number;
  readonly socket: Socket;
  readonly response: ServerResponse;
  /** Pass the request on, and wait for the hub's reply. */
  ask(): Promise<Reply>;
}

/** `before` and `after` the hub has carried out the request. */
const MISHAPS = {
  delay: async ({ pause, response, ask }: Passage) => {
    await sleep(pause);
    answer(response, await ask());
  },
  /** It reaches the hub when the client has given it up, and perhaps goes on without it. */
  late: async ({ pause, socket, ask }: Passage) => {
    if (!socket.closed) await once(socket, 'close');
    await sleep(pause);
    await ask();
  },
  'cut before': ({ socket }: Passage) => socket.destroy(),
  'cut after': async ({ socket, ask }: Passage) => {
    await ask();
    socket.destroy();
  },
  /** Content-Length promises more than comes. */
  truncated: async ({ chance, response, ask }: Passage) => {
    const { status, headers, body } = await ask();
    response.writeHead(status, { ...headers, 'Content-Length': body.length });
    response.write(body.subarray(0, chance * body.length), () => response.destroy());
  },
  /** Without Content-Length: the reply looks whole, since it ends where the connection does. */
  'truncated, unmarked': async ({ chance, response, ask }: Passage) => {
    const { status, headers, body } = await ask();
    response.useChunkedEncodingByDefault = false;
    response.writeHead(status, headers).end(body.subarray(0, chance * body.length));
  },
  '502 before': ({ response }: Passage) => answer(response, BAD_GATEWAY),
  '502 after': async ({ response, ask }: Passage) => {
    await ask();
    answer(response, BAD_GATEWAY);
  },
  'stall before': () => {},
  'stall after': async ({ ask }: Passage) => {
    await ask();
  },
};
export type Mishap = keyof typeof MISHAPS;
export const ALL_MISHAPS = Object.keys(MISHAPS) as Mishap[];

const BAD_GATEWAY: Reply = {
  status: 502,
  headers: { 'Content-Type': 'text/html' },
  body: Buffer.from('<html><head><title>502 Proxy Error</title></head><body>Proxy Error</body></html>\n'),
};

/** A proxy on a free port before the server at `hub`. */
export async function startProxy(hub: string, { seed, rate, most, delay }: ProxyOptions): Promise<HubProxy> {
  const random = randomBy(seed);
  const drawn = new Map<string, number>();
  const struck: Struck[] = [];
  const underWay = new Set<Promise<void>>();

  const draw = (method: string): Mishap | undefined => {
    const mishap = ALL_MISHAPS[Math.floor((random() / rate) * ALL_MISHAPS.length)];
    const count = (drawn.get(method) ?? 0) + 1;
    if (mishap === undefined || count > most) return undefined;
    drawn.set(method, count);
    return mishap;
  };
  const relay = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await buffer(request);
    const method = methodOf(body);
    const mishap = draw(method);
    const chance = random();
    // Half of the replies come packed: cut short, those fail in another way.
    if (random() < 0.5) delete request.headers['accept-encoding'];
    const ask = () => forward(hub, request, body);
    if (mishap === undefined) return answer(response, await ask());
    await MISHAPS[mishap]({ chance, pause: chance * delay, socket: request.socket, response, ask });
    struck.push({ mishap, method });
  };

  const server = http.createServer((request, response) => {
    // Fails where the client hangs up in the middle, or the hub does.
    const passage: Promise<void> = relay(request, response)
      .catch(() => void response.destroy())
      .finally(() => underWay.delete(passage));
    underWay.add(passage);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${new URL(hub).pathname}`,
    struck,
    async close() {
      server.closeAllConnections();
      await once(server.close(), 'close');
      await Promise.all(underWay);
    },
  };
}

async function forward(hub: string, request: IncomingMessage, body: Buffer): Promise<Reply> {
  const outgoing = http.request(new URL(request.url ?? '', hub), {
    method: request.method ?? 'POST',
    headers: { ...request.headers, connection: 'close' },
    agent: false,
  });
  const [reply] = (await once(outgoing.end(body), 'response')) as [IncomingMessage];
  const { 'content-type': type, 'content-encoding': encoding } = reply.headers;
  return {
    status: reply.statusCode ?? 0,
    headers: { ...(type && { 'Content-Type': type }), ...(encoding && { 'Content-Encoding': encoding }) },
    body: await buffer(reply),
  };
}

function answer(response: ServerResponse, { status, headers, body }: Reply): void {
  response.writeHead(status, { ...headers, 'Content-Length': body.length }).end(body);
}

/** The method called; of a multiCall its first as well, which tells one from another. */
function methodOf(body: Buffer): string {
  const text = body.toString();
  const outer = /<methodName>([^<]*)/.exec(text)?.[1] ?? '?';
  const first = /<name>methodName<\/name>\s*<value>\s*<string>([^<]*)/.exec(text)?.[1];
  return first === undefined ? outer : `${outer} ${first} …`;
}

/** Numbers from 0 up to 1 (mulberry32), the same for the same seed. */
function randomBy(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
