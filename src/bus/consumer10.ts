/** The AMQP 1.0 consumer: as the one of AMQP 0-9-1, at addresses that the broker names. */
import type { Logger } from 'pino';
import rhea, { type Message } from 'rhea';
import { type Arrival, connectPeer, openAddress, type Peer } from './amqp10.ts';
import { isKojiTopic } from './decode.ts';
import type { Consumer, OnHint } from './intake.ts';
import type { BusMessage } from './message.ts';
import { type Link, pause, rejectionOn, type Subscribing, supervise } from './supervisor.ts';

export interface Consumer10Options extends Subscribing {
  /** As the broker writes them, such as `queue://Consumer.NAME.VirtualTopic.eng.brew.build.complete`; each has `prefetch`. */
  readonly addresses: readonly string[];
}

/**
 * Subscribes, and stays subscribed until closed, to all addresses at once. A message is accepted once `onHint` resolved for
 * each of its hints; if `onHint` fails it is given back after the first backoff, and the broker may count that.
 * No fault of a broker is thrown: it is logged, shown in the state, and tried again.
 * @throws Error if `url` is not a broker's address, and what `tls` throws
 */
export function startConsumer10(options: Consumer10Options, onHint: OnHint, log: Logger): Consumer {
  const names = options.addresses.join(' ');
  return supervise(options, names, (link, stop) => session(link, options, stop), onHint, log);
}

async function session(link: Link, options: Consumer10Options, stop: AbortSignal): Promise<unknown> {
  const stopped = rejectionOn(stop);
  const { addresses, prefetch } = options;
  const connecting = connectPeer(link.broker, addresses.length * prefetch);
  let peer: Peer | undefined;
  try {
    peer = await Promise.race([connecting, stopped]);
    const opening = addresses.map((address) => open(address, prefetch, peer as Peer, link));
    await Promise.race([Promise.all(opening), stopped]);
    link.subscribed(addresses.join(' '));
    return await Promise.race([rejectionOn(peer.end.signal), stopped]);
  } catch (reason) {
    return reason;
  } finally {
    peer?.end.abort(new Error('the session is over'));
    if (peer) await peer.close();
    // Still being made: it closes when it is there, and nobody waits for that.
    else
      connecting.then(
        (late) => late.close(),
        () => {},
      );
  }
}

const open = (address: string, prefetch: number, peer: Peer, link: Link): Promise<void> =>
  openAddress(peer, address, prefetch, (arrival) => void deliver(arrival, peer, link));

/** Takes one message, then accepts it or, after a pause, gives it back. Never rejects. */
async function deliver(arrival: Arrival, { end }: Peer, { intake, backoff }: Link): Promise<void> {
  const taken = await intake.take(messageFrom(arrival.bytes, arrival.address));
  if (!taken) await pause(backoff.first, end.signal);
  // On a connection that is gone there is nothing to accept: the broker delivers it again.
  if (end.signal.aborted) return;
  try {
    if (taken) arrival.accept();
    else arrival.giveBack();
  } catch (error) {
    end.abort(error);
  }
}

/** A body that no decoder of ours takes for JSON. */
const NOTHING = new Uint8Array();

/**
 * A message in AMQP 1.0's own encoding, as a consumer of AMQP 0-9-1 would have it.
 * Bytes that are no message are one without a body: the decoder says that it cannot be understood.
 * @param address that it was read from
 */
export function messageFrom(bytes: Buffer, address: string): BusMessage {
  let message: Message;
  try {
    message = rhea.message.decode(bytes) as unknown as Message;
  } catch {
    return { routingKey: bare(address), headers: {}, properties: {}, body: NOTHING };
  }
  const { application_properties = {}, message_id, content_type, creation_time } = message;
  return {
    routingKey: topicOf(message, address),
    headers: {
      ...(creation_time !== undefined && { timestamp_in_ms: Number(creation_time) }),
      ...application_properties,
    },
    properties: {
      ...(typeof content_type === 'string' && { contentType: content_type }),
      ...(message_id !== undefined && { messageId: String(message_id) }),
    },
    body: contentOf(message.body),
  };
}

/** The text or the bytes; of several parts, all of them. Anything else is no message of Koji's. */
function contentOf(body: unknown): Uint8Array {
  if (typeof body === 'string') return Buffer.from(body);
  if (Buffer.isBuffer(body)) return body;
  const { content } = (body ?? {}) as { content?: unknown };
  const parts = [content].flat();
  return parts.every((part) => Buffer.isBuffer(part)) ? Buffer.concat(parts) : NOTHING;
}

/** `topic://x`, `queue://x`, `/topic/x`, `/amq/queue/x`: brokers have their own ways to say what kind of name it is. */
const bare = (address: string): string =>
  address.replace(/^(?:(?:topic|queue):\/\/|\/(?:topic|queue|amq\/queue)\/)/, '');

/**
 * Which topic a message was sent to. ActiveMQ has it in `to`, RabbitMQ in an annotation (4) or in `subject` (3, unless the
 * message came by AMQP 1.0), and a queue of a virtual topic in its own name, unless that is a pattern; else Koji's own
 * properties say what happened.
 */
function topicOf(message: Message, address: string): string {
  const { to, subject, message_annotations, application_properties } = message;
  const named = [message_annotations?.['x-routing-key'], to, subject, address]
    .filter((name): name is string => typeof name === 'string' && name !== '')
    .map(bare);
  return named.find(isKojiTopic) ?? subjectOf(application_properties) ?? named[0] ?? '';
}

/** By what Koji's protonmsg has in its properties (plugins/hub/protonmsg.py): `type` and, of states, `new`. */
function subjectOf(properties: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const { type, new: state } = properties ?? {};
  if (type === 'Tag' || type === 'Untag') return `build.${type.toLowerCase()}`;
  if (type === 'RepoDone') return 'repo.done';
  const of = type === 'BuildStateChange' ? 'build' : type === 'TaskStateChange' ? 'task' : undefined;
  return of !== undefined && typeof state === 'string' ? `${of}.${state.toLowerCase()}` : undefined;
}
