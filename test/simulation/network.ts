/** The way between gate and hub, within the process: real XML-RPC documents, and what a network does to them. */
import { type Transport, TransportError, type TransportOptions } from '../../src/koji/transport.ts';
import { decodeCall } from '../../src/koji/xmlrpc.ts';
import { answerCall } from '../../src/sim/server.ts';
import type { World } from '../../src/sim/world.ts';

/**
 * `refused`: it surely did not arrive. `lost`: it did not arrive, and nobody knows. `late`: it arrives when nobody waits
 * for it any more. `reply-lost`, `reply-cut`: it was carried out. `proxy`: HTTP 502. `slow`: it takes its time.
 */
export const MISHAPS = ['refused', 'lost', 'late', 'reply-lost', 'reply-cut', 'proxy', 'slow'] as const;
export type Mishap = (typeof MISHAPS)[number];

export interface Network {
  readonly world: World;
  /** What happens to the next request. */
  mishap(): Mishap | undefined;
  /** Let the world go on for so long, in ms. */
  pass(ms: number): void;
  /** Do something so many ms from now. */
  later(ms: number, work: () => void): void;
  /** A whole number from `low` to `high`. */
  int(low: number, high: number): number;
}

/** A transport for `connectHub`. */
export function transportOver(network: Network) {
  return ({ timeout }: TransportOptions): Transport => ({
    async post(body, headers = {}, _fresh, query) {
      const { world } = network;
      const lower = Object.fromEntries(Object.entries(headers).map(([name, of]) => [name.toLowerCase(), of]));
      const carryOut = () =>
        answerCall(world, decodeCall(body), { headers: lower, url: query ? `/?${query}` : '/' });
      const lost = (what: string, sent = true) => new TransportError(`hub: ${what}`, { sent });
      switch (network.mishap()) {
        case 'refused':
          throw lost('connection refused', false);
        case 'lost':
          network.pass(timeout);
          throw lost(`no reply within ${timeout} ms`);
        case 'late':
          network.later(network.int(1, timeout + 30_000), () => void carryOut());
          network.pass(network.int(1, timeout));
          throw lost(`no reply within ${timeout} ms`);
        case 'reply-lost':
          carryOut();
          network.pass(network.int(0, timeout));
          throw lost('the connection was closed');
        case 'reply-cut': {
          const reply = carryOut();
          return reply.slice(0, network.int(0, reply.length - 1));
        }
        case 'proxy':
          throw new TransportError('hub: HTTP 502', { sent: true, status: 502 });
        case 'slow':
          network.pass(network.int(1, timeout - 1));
          return carryOut();
        default:
          return carryOut();
      }
    },
    skew: () => undefined,
    close: () => {},
  });
}
