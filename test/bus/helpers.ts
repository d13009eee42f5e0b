/** Short cuts for the tests of the bus. */
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { Logger } from 'pino';
import { pino } from 'pino';
import type { BusMessage } from '../../src/bus/message.ts';

/** A message with a plain JSON body. */
export function jsonMessage(routingKey: string, body: unknown): BusMessage {
  return message(routingKey, Buffer.from(JSON.stringify(body)));
}

export function message(routingKey: string, body: Uint8Array): BusMessage {
  return { routingKey, headers: {}, properties: {}, body };
}

/** An AMQP 1.0 section: code 77 holds a string, 75 a binary; the length takes one byte or four. */
export function section(code: 0x77 | 0x75, lengthBytes: 1 | 4, content: Uint8Array): Buffer {
  const encoding = { 119: { 1: 0xa1, 4: 0xb1 }, 117: { 1: 0xa0, 4: 0xb0 } }[code][lengthBytes];
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(content.length, 0, lengthBytes);
  return Buffer.concat([Buffer.from([0x00, 0x53, code, encoding]), length, content]);
}

/** A logger, and the lines that it wrote. */
export function memoryLog(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  return { log: pino({ level: 'trace' }, { write: (line) => lines.push(line) }), lines };
}

/** A TCP proxy to somewhere, whose connections can be cut or made to fall silent. */
export interface TcpProxy {
  readonly port: number;
  /** Cuts what is connected; new connections are served. */
  cut(): void;
  /** Lets nothing through what is connected any more, not even its end, as a dead network does. */
  silence(): void;
  close(): Promise<void>;
}

export async function openProxy(target: { host: string; port: number }, port = 0): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  };
  const server = createServer((near) => {
    const far = connect(target);
    keep(near);
    keep(far);
    near.on('data', (data) => far.write(data)).on('close', () => far.destroy());
    far.on('data', (data) => near.write(data)).on('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    silence: () => {
      for (const socket of sockets) socket.pause().removeAllListeners('close');
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}
