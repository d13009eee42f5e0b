/** AMQP 1.0, for brokers other than RabbitMQ: a connection, and what is read at its addresses. */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { isIP, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import rhea, { type Connection, type ConnectionOptions, type EventContext, type Receiver } from 'rhea';
import type { Broker } from './broker.ts';
import { rejectionOn } from './supervisor.ts';

/** A connection that is open. */
export interface Peer {
  readonly connection: Connection;
  /** Aborts with the reason, once any part of the connection fails. */
  readonly end: AbortController;
  /** Lets go of it, also where the broker is deaf already. Never rejects. */
  close(): Promise<void>;
}

/** A message that came, as bytes: what is in them is nobody's word yet. */
export interface Arrival {
  readonly bytes: Buffer;
  readonly address: string;
  /** Done with it. */
  accept(): void;
  /** The broker may deliver it again. */
  giveBack(): void;
}

/** Time for TCP, TLS, the login and the opening together, ms. */
const CONNECT_TIMEOUT = 10_000;
/** Time for the broker to answer a close, ms. */
const CLOSE_TIMEOUT = 1_000;
/** A broker that sends nothing for so many heartbeats is given up. */
const SILENT = 2;
/** A frame holds a part of a message; it is kept in memory until it is whole. */
const LARGEST_FRAME = 65_536;
/** So many messages more than were asked for are taken from a broker that does not count well, and then no more. */
const SPARE = 256;
/** Any format but AMQP's own leaves a message to us as it is. */
const RAW = 0x7fff_ffff;
const MODIFIED = 'amqp:modified:list';

/**
 * Connects to one broker, within ten seconds.
 * @param credit most messages that all its addresses together are to have in hand
 * @throws Error with the broker's words, and what `tls` throws
 */
export async function connectPeer(broker: Broker, credit: number): Promise<Peer> {
  const end = new AbortController();
  // One for each address, and one for each message that waits to be given back: no leak to warn of.
  setMaxListeners(0, end.signal);
  const container = rhea.create_container();
  const connection = container.create_connection(optionsOf(broker, credit));
  // What nobody listens to would end the process, or be written to standard error.
  for (const emitter of [container, connection]) emitter.on('error', (error) => end.abort(error));
  const broken = (what: string) => (context: EventContext) => end.abort(errorOf(what, context));
  connection.on('protocol_error', (error: Error) => end.abort(error));
  connection.on('connection_error', broken('the broker ended the connection'));
  connection.on('connection_close', broken('the broker closed the connection'));
  connection.on('session_error', broken('the broker ended the session'));
  connection.on('session_close', broken('the broker closed the session'));
  connection.on('disconnected', broken('the connection was closed'));
  mendTransfers(connection);

  const opened = new Promise<void>((resolve) => connection.once('connection_open', () => resolve()));
  connection.connect();
  const socket = connection['socket'] as Socket;
  // The client's own watch has no eye on a frame that never ends, or on a connection that is not open yet.
  const heartbeat = Number(new URL(broker.url).searchParams.get('heartbeat')) * 1_000;
  const silence = setTimeout(() => end.abort(new Error('Heartbeat timeout')), SILENT * heartbeat);
  socket.on('data', () => silence.refresh());
  socket.on('close', () => end.abort(new Error('the connection was closed')));
  const handshake = setTimeout(
    () => end.abort(new Error(`no connection within ${CONNECT_TIMEOUT / 1_000} s`)),
    CONNECT_TIMEOUT,
  );
  const close = async () => {
    clearTimeout(silence);
    clearTimeout(handshake);
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    if (!socket.destroyed && connection.is_open()) {
      const tooLong = new AbortController();
      connection.close();
      await Promise.race([gone, sleep(CLOSE_TIMEOUT, undefined, { signal: tooLong.signal }).catch(() => {})]);
      tooLong.abort();
    }
    socket.destroy();
    // The client hears of an end, not of this: its timers would go on.
    connection['_disconnected']();
  };
  try {
    await Promise.race([opened, rejectionOn(end.signal)]);
  } catch (error) {
    await close();
    throw error;
  }
  clearTimeout(handshake);
  return { connection, end, close };
}

function optionsOf(broker: Broker, credit: number): ConnectionOptions {
  const { protocol, hostname, port, username, password, searchParams } = new URL(broker.url);
  const secure = protocol === 'amqps:';
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const options = {
    ...{ host, hostname: host, port: Number(port || (secure ? 5671 : 5672)) },
    // One that is always the same would be refused while the old connection is not known to be dead.
    ...{ container_id: `kmod-gate-${randomUUID()}`, reconnect: false, max_frame_size: LARGEST_FRAME },
    session_buffer_size: { incoming: credit + SPARE, outgoing: SPARE },
    idle_time_out: Number(searchParams.get('heartbeat')) * 1_000,
    properties: { product: 'kmod-gate', ...broker.client_properties },
    sasl_mechanisms: login(broker.login, decodeURIComponent(username), decodeURIComponent(password)),
    sasl_init_hostname: host,
    // The name of an address is none that TLS may ask for.
    ...(secure && { transport: 'tls', servername: isIP(host) ? '' : host, ...broker.tls?.() }),
  };
  return options as ConnectionOptions;
}

type Answer = (error: undefined, response: Buffer) => void;

/** One way to log in, and no other that a broker may offer beside it. */
function login(how: Broker['login'], user: string, password: string): object {
  const say = (response: string) => ({ start: (answer: Answer) => answer(undefined, Buffer.from(response)) });
  const mechanisms: Record<string, object> = Object.create(null);
  if (how === 'external') mechanisms['EXTERNAL'] = say('');
  else if (user === '') mechanisms['ANONYMOUS'] = say('kmod-gate');
  else mechanisms['PLAIN'] = say(`\0${user}\0${password}`);
  return mechanisms;
}

/** What the broker says, and its name for that. */
function errorOf(what: string, context: EventContext): Error {
  const said = context.error ?? context.connection?.error ?? context.session?.error;
  return worded(what, said);
}

function worded(what: string, said: unknown): Error {
  const { condition, description, message } = (said ?? {}) as Record<string, unknown>;
  const words = [description ?? message, condition].filter((one) => typeof one === 'string' && one !== '');
  if (words.length === 0) return new Error(what);
  return new Error(words.length > 1 ? `${words[0]} (${words[1]})` : String(words[0]), { cause: said });
}

/** A frame with a message or a part of one, as the client has it. */
interface Transfer {
  readonly channel: number;
  readonly performative: { message_format?: number | null; more?: boolean | null; handle: number };
}

/**
 * Three things that the client does not let be set. It would decode each message itself, and end the connection at one that it
 * cannot: for ever, as that stays in the queue. It writes to standard error when a broker sends more than it was
 * asked for, as RabbitMQ 3 does. And it tells the broker of its room for frames only when a message is done with.
 */
function mendTransfers(connection: Connection): void {
  const transfer: (frame: Transfer) => void = connection['on_transfer'].bind(connection);
  connection['on_transfer'] = (frame: Transfer) => {
    const { performative } = frame;
    const receiver = connection['remote_channel_map'][frame.channel]?.remote.handles[performative.handle];
    if (performative.more) connection['_register']();
    else if (receiver?.credit === 0) receiver.credit = 1;
    performative.message_format = RAW;
    transfer(frame);
  };
}

/**
 * Opens an address to be read.
 * @param credit most messages that are taken and not yet done with; 0: none comes, and the address is only tried
 * @throws Error with the broker's words where it does not let the address be read
 */
export async function openAddress(
  { connection, end }: Peer,
  address: string,
  credit: number,
  onArrival: (arrival: Arrival) => void,
): Promise<void> {
  const receiver: Receiver = connection.open_receiver({
    ...{ source: { address }, credit_window: 0, autoaccept: false, snd_settle_mode: 0, rcv_settle_mode: 0 },
  });
  const opened = new Promise<void>((resolve) => {
    // A refusal comes as an opening without a source, and then the reason.
    receiver.on('receiver_open', () => {
      if (receiver.source) resolve();
    });
  });
  /** Messages that are taken and not yet done with. */
  let held = 0;
  const ended = (context: EventContext) =>
    end.abort(worded(`${address}: the broker ended the subscription`, context.receiver?.error));
  receiver.on('receiver_error', ended);
  receiver.on('receiver_close', ended);
  receiver.on('message', ({ message, delivery }: EventContext) => {
    if (!delivery) return;
    held++;
    const done = (say: () => void) => () => {
      say();
      held--;
      receiver.add_credit(credit - held - (receiver as unknown as { credit: number }).credit);
    };
    onArrival({
      ...{ bytes: message as unknown as Buffer, address },
      accept: done(() => delivery.accept()),
      // So the broker counts how often it was delivered, where it can.
      giveBack: done(() =>
        counts(receiver) ? delivery.modified({ delivery_failed: true }) : delivery.release(),
      ),
    });
  });
  await Promise.race([opened, rejectionOn(end.signal)]);
  if (credit > 0) receiver.add_credit(credit);
}

/** Whether the broker takes the outcome "modified": one that names outcomes names all that it takes. */
function counts(receiver: Receiver): boolean {
  const outcomes = [receiver.source?.outcomes ?? []].flat().map(String);
  return outcomes.length === 0 || outcomes.includes(MODIFIED);
}
