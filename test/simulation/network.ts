/** The way between gate and hub, within the process: real XML-RPC documents, and what a network does to them. */
import { TransportError } from '../../src/koji/transport.ts';
import { decodeResponse, Fault, type XmlValue } from '../../src/koji/xmlrpc.ts';
import { encodeFault, encodeResponse } from '../../src/sim/replies.ts';
import { type Call, transportTo } from '../../src/sim/transport.ts';
import type { World } from '../../src/sim/world.ts';
import { isNth, type Unreadable } from './draw.ts';

/**
 * `refused`: it surely did not arrive. `lost`: it did not arrive, and nobody knows. `late`: it arrives when nobody waits
 * for it any more. `reply-lost`, `reply-cut`: it was carried out. `proxy`: HTTP 502. `slow`: it takes its time.
 * `fault`: the hub carries out nothing, or of a group all but one, and says so.
 */
export const MISHAPS = [
  'refused',
  'lost',
  'late',
  'reply-lost',
  'reply-cut',
  'proxy',
  'slow',
  'fault',
] as const;
export type Mishap = (typeof MISHAPS)[number];

/** Codes with which a hub that has its troubles answers what was in order, and their words; 1000 would say that there is no such thing. */
export const FAULTS: readonly (readonly [code: number, text: string])[] = [
  [1, 'psycopg2.OperationalError: server closed the connection unexpectedly'],
  [1, "KeyError: 'draft'"],
  [1001, 'tag is locked'],
  [1003, 'tag requires autosign permission'],
  [1004, 'policy violation (tag)'],
  [1006, 'user is locked by another session'],
  [1007, 'session "7" has expired'],
  [1008, '7 < 8 (session 1)'],
  [1009, 'unable to retry call 8 (method build) for session 1'],
  [1014, 'database is being upgraded'],
  [1016, 'Error running preTag callback from ...'],
  [1019, 'Invalid type for id'],
];

export interface Network {
  readonly world: World;
  /** What happens to the next request. */
  mishap(): Mishap | undefined;
  /** Of so many calls in a group the one that a fault is for; undefined: all of them. */
  struck(calls: number): number | undefined;
  /** Let the world go on for so long, in ms. */
  pass(ms: number): void;
  /** Do something so many ms from now. */
  later(ms: number, work: () => void): void;
  readonly unreadable: Unreadable;
  /** Lets the hub answer a request of this instance. */
  claim<T>(answer: () => T): T;
  /** Told of each file that could not be read. */
  onLost(what: 'log' | 'rpm'): void;
  /** A whole number from `low` to `high`. */
  int(low: number, high: number): number;
}

/** A transport for `connectHub`. */
export const transportOver = (network: Network) =>
  transportTo(network.world, ({ timeout, call, answer: answerAll }) => {
    const answer = (call: Call) => network.claim(() => answerWithout(call, network, answerAll));
    const carryOut = () => answer(call());
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
      case 'fault':
        return refuse(call(), network, answer);
      case 'slow':
        network.pass(network.int(1, timeout - 1));
        return carryOut();
      default:
        return carryOut();
    }
  });

/** What the hub says of a file that it can never give; undefined of all else. */
function lostOf({ method, params }: Call, { unreadable, onLost }: Network): Fault | 'gone' | undefined {
  const what = method === 'downloadTaskOutput' ? 'log' : method === 'getRPMHeaders' ? 'rpm' : undefined;
  if (what === undefined) return undefined;
  const { rpmID = params[0] } = params.at(-1) as { readonly rpmID?: XmlValue };
  const id = Number(rpmID);
  if (!isNth(unreadable[`${what}s`], id)) return undefined;
  onLost(what);
  const isGone = what === 'rpm' && id % 2 === 1;
  return isGone ? 'gone' : new Fault(1, `[Errno 13] Permission denied: '${id}.${what}'`);
}

/** As the hub answers, but for files that it can never give; it has no header of one that is gone. */
function answerWithout(call: Call, network: Network, answer: (call: Call) => string): string {
  if (call.method !== 'multiCall') {
    const lost = lostOf(call, network);
    if (lost === undefined) return answer(call);
    return lost === 'gone' ? encodeResponse({}) : encodeFault(lost.code, lost.text);
  }
  const elements = call.params[0] as readonly { readonly methodName: string; readonly params: XmlValue[] }[];
  const lost = elements.map(({ methodName, params }) =>
    lostOf({ ...call, method: methodName, params }, network),
  );
  if (lost.every((one) => one === undefined)) return answer(call);
  const given = elements.filter((_, i) => lost[i] === undefined);
  const values = [
    ...(decodeResponse(answer({ ...call, params: [given as unknown as XmlValue] })) as XmlValue[]),
  ];
  const answers = lost.map((one) => {
    if (one === undefined) return values.shift() ?? null;
    return one === 'gone' ? [{}] : { faultCode: one.code, faultString: one.text, traceback: [] };
  });
  return encodeResponse(answers);
}

/** The hub's words where it will not: for a call, or for one of a group, while it carries out the others. */
function refuse(call: Call, network: Network, answer: (call: Call) => string): string {
  const [code, text] = FAULTS[network.int(0, FAULTS.length - 1)] ?? [1000, ''];
  const calls = call.method === 'multiCall' ? (call.params[0] as readonly XmlValue[]) : [];
  const one = network.struck(calls.length);
  if (one === undefined) return encodeFault(code, text);
  const others = { ...call, params: [calls.filter((_, i) => i !== one)] };
  try {
    const values = decodeResponse(answer(others)) as readonly XmlValue[];
    return encodeResponse(values.toSpliced(one, 0, { faultCode: code, faultString: text, traceback: [] }));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return encodeFault(error.code, error.text);
  }
}
