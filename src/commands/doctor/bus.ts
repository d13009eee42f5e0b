/** Whether the gate's queue is there, bound to what Koji sends, and whether anything comes. */
import { connectPeer, openAddress, type Peer } from '../../bus/amqp10.ts';
import { explain, firstOf, parseBrokers } from '../../bus/broker.ts';
import { decode } from '../../bus/decode.ts';
import type { BusMessage } from '../../bus/message.ts';
import { type Arrivals, openProbe, type Probe, type QueueCount } from '../../bus/probe.ts';
import { BY_UUID } from '../../bus/queue.ts';
import type { BusSettings } from '../../config/config.ts';
import type { Hint } from '../../core/model.ts';
import { plural, span } from '../../core/wording.ts';
import { brokerOptions } from '../broker.ts';
import { type Check, info, ok, unsure, wrong } from './check.ts';
import type { Past } from './past.ts';

const BUS = 'bus';
const DAY = 86_400_000;
/** Where a message that does not come may be lost. */
const SENDERS =
  "check bus.exchange, bus.bindings, and the hub's message plugin (koji-fedoramessaging or protonmsg)";

/**
 * Looks at the broker without touching the gate's queue.
 * @param listen how long to hear what comes, in ms
 */
export async function examineBus(bus: BusSettings | undefined, past: Past, listen: number): Promise<Check[]> {
  if (!bus)
    return [info(BUS, 'none is configured', 'the gate only sweeps; add [bus] to hear of kernels at once')];
  if (bus.addresses) return examineAddresses(bus, bus.addresses, past, listen);
  const mend = 'check [bus]: url, exchange, and whether the broker lets this user in';
  let probe: Probe | undefined;
  try {
    probe = await openProbe(parseBrokers(brokerOptions(bus)));
    await probe.assertExchange(bus.exchange);
    const queue = bus.queue === BY_UUID ? undefined : await probe.count(bus.queue);
    return [
      ok(BUS, `${probe.broker} has the exchange ${bus.exchange}`),
      describeQueue(bus, queue),
      ...(await examineBindings(probe, bus, listen)),
      describeNewest(past, queue, Date.now()),
    ];
  } catch (error) {
    return [wrong(BUS, explain(error).text, mend)];
  } finally {
    await probe?.close();
  }
}

/** Whether an AMQP 1.0 broker lets each address be read. No message is taken: from a queue it would be gone. */
async function examineAddresses(
  bus: BusSettings,
  addresses: readonly string[],
  past: Past,
  listen: number,
): Promise<Check[]> {
  let peer: Peer | undefined;
  try {
    const { broker, made } = await firstOf(parseBrokers(brokerOptions(bus)), (one) => connectPeer(one, 0));
    peer = made;
    for (const address of addresses) await openAddress(peer, address, 0, () => {});
    const read = addresses.map((address) => ok(BUS, `${broker.name} lets ${address} be read`));
    const unheard = info(BUS, '--listen hears nothing of AMQP 1.0: what is taken from a queue there is gone');
    return [...read, ...(listen > 0 ? [unheard] : []), describeNewest(past, undefined, Date.now())];
  } catch (error) {
    const mend = 'check [bus]: url, addresses, and whether the broker lets this user in';
    return [wrong(BUS, explain(error).text, mend)];
  } finally {
    peer?.end.abort(new Error('done'));
    await peer?.close();
  }
}

/** The only consumer of the queue should be the one running gate. */
function describeQueue({ queue: name, declare }: BusSettings, queue: QueueCount | undefined): Check {
  if (name === BY_UUID)
    return info(
      BUS,
      'the queue gets a new name at each connection, and goes with it; what is lost, sweeps find',
    );
  if (!queue && declare === false) {
    const mend = 'create the queue on the broker, or let the gate do so with declare = true in [bus]';
    return wrong(BUS, `queue ${name} does not exist, and declare = false lets nobody make it`, mend);
  }
  if (!queue) return info(BUS, `queue ${name} does not exist yet; run makes it`);
  const { messages, consumers } = queue;
  const wait = `${plural(messages, 'message')} ${messages === 1 ? 'waits' : 'wait'} in the queue ${name}`;
  if (consumers > 1) {
    const mend = 'give each gate a bus.queue of its own; this one is read by something else too';
    return wrong(BUS, `${consumers} consumers share the queue ${name}: each hears only a part`, mend);
  }
  if (consumers === 1) return ok(BUS, `${wait}, and a gate reads them`);
  if (messages === 0) return info(BUS, `queue ${name} is empty, and no gate reads it`);
  const mend = 'start "kmod-gate run"; if this queue is of no use any more, delete it on the broker';
  return unsure(BUS, `${wait}, and no gate reads them`, mend);
}

/** AMQP cannot list bindings, so the same ones are tried with a queue that goes with the connection. */
async function examineBindings(probe: Probe, bus: BusSettings, listen: number): Promise<Check[]> {
  const what = `to ${bus.exchange} by ${bus.bindings.join(', ')}`;
  try {
    const arrivals = await probe.listen(bus.exchange, bus.bindings, listen);
    const bound = ok(BUS, `a queue can be bound ${what}`);
    return listen > 0 ? [bound, describeArrivals(arrivals, listen)] : [bound];
  } catch (error) {
    const mend =
      'it was tried with a queue that the broker names; what it says of the own queue, "kmod-gate run" logs';
    return [unsure(BUS, `whether a queue can be bound ${what}: ${explain(error).text}`, mend)];
  }
}

function describeArrivals({ count, newest }: Arrivals, listen: number): Check {
  const heard = `${plural(count, 'message')} in ${span(listen)}`;
  if (!newest) return unsure(BUS, `no message in ${span(listen)}`, `listen longer, or ${SENDERS}`);
  const { understood, words } = describeMessage(newest);
  const what = `${heard}, the newest ${newest.routingKey}: ${words}`;
  return understood ? ok(BUS, what) : wrong(BUS, what, `it is not as Koji sends it; ${SENDERS}`);
}

/** What a message says to a gate. */
function describeMessage(message: BusMessage): { understood: boolean; words: string } {
  const decoded = decode(message);
  if (decoded.kind === 'hints')
    return { understood: true, words: `look at ${decoded.hints.map(nameHint).join(', ')}` };
  if (decoded.kind === 'ignored') return { understood: true, words: `not heeded, ${decoded.why}` };
  return { understood: false, words: `not understood, ${decoded.why}` };
}

const nameHint = (hint: Hint): string =>
  hint.kind === 'tag' ? `tag ${hint.name}` : `${hint.kind} ${hint.id}`;

/** The running gate leaves in its store what it heard. */
function describeNewest({ known, heard }: Past, queue: QueueCount | undefined, now: number): Check {
  const soon = 'doctor --listen 60 hears for itself';
  if (!known) return unsure(BUS, 'whether a gate ever heard a message: no store tells', soon);
  if (!heard) {
    return unsure(BUS, 'no gate has heard a message yet', `where one runs for long, ${SENDERS}; ${soon}`);
  }
  const age = now - heard.at;
  const what = `newest message heard ${span(age)} ago (${heard.routingKey})`;
  if (age > DAY) {
    const mend = `${SENDERS}; ${soon}`;
    // A gate that does not run hears nothing, however healthy the bus.
    return queue && queue.consumers > 0 ? wrong(BUS, what, mend) : unsure(BUS, what, mend);
  }
  if (heard.understood) return ok(BUS, what);
  return unsure(BUS, `${what}, which the gate did not understand`, "the gate's log says why");
}
