import net, { type AddressInfo } from 'node:net';
import { deflateSync, gzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import {
  createTransport,
  type Transport,
  TransportError,
  type TransportOptions,
} from '../../src/koji/transport.ts';
import { decodeResponse, encodeCall } from '../../src/koji/xmlrpc.ts';
import { encodeResponse } from '../../src/sim/replies.ts';
import { rejection, type Stub, type StubCall, startStub } from './stub.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(
  handle: (call: StubCall) => void,
  options: Partial<TransportOptions> = {},
): Promise<[Transport, Stub]> {
  const stub = await startStub((call) => {
    handle(call);
    return 'ok';
  });
  const transport = createTransport({ server: stub.server, timeout: 5000, userAgent: 'test', ...options });
  cleanups.push(stub.close, transport.close);
  return [transport, stub];
}
const hello = encodeCall('hello', []);

test('posts XML with the headers asked for, over a kept connection', async () => {
  const [transport, { calls }] = await start(() => {});
  expect(decodeResponse(await transport.post(hello, { 'Koji-Session-Id': '7' }))).toBe('ok');
  await transport.post(hello);
  expect(calls[0]?.headers).toMatchObject({
    'user-agent': 'test',
    'content-type': 'text/xml',
    'koji-session-id': '7',
  });
  expect(calls.map((call) => call.connection)).toEqual([1, 1]);
});

test('tells how far the clock of the server is ahead, as the newest reply says', async () => {
  let ahead = 0;
  const [transport] = await start(({ response }) =>
    response.setHeader('Date', ahead === 0 ? '' : new Date(Date.now() + ahead).toUTCString()),
  );
  expect(transport.skew()).toBeUndefined();
  for (ahead of [90_000, -3_600_000]) {
    await transport.post(hello);
    expect(Math.abs((transport.skew() ?? 0) - ahead)).toBeLessThan(1_500);
  }
  ahead = 0;
  await transport.post(hello);
  expect(Math.abs((transport.skew() ?? 0) + 3_600_000)).toBeLessThan(1_500);
});

test('a permit is asked once there is a connection, and not before', async () => {
  const order: string[] = [];
  const server = net.createServer((socket) => {
    order.push('connected');
    socket.on('data', () => {
      order.push('data');
      socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\nyes');
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const transport = createTransport({
    server: `http://127.0.0.1:${port}/`,
    timeout: 5000,
    userAgent: 'test',
  });
  cleanups.push(transport.close);
  const no = new Error('another one acts');
  const refused = transport.post(hello, {}, true, undefined, () => {
    throw no;
  });
  await expect(refused).rejects.toBe(no);
  await expect.poll(() => order).toEqual(['connected']);
  order.length = 0;
  expect(await transport.post(hello, {}, true, undefined, () => void order.push('asked'))).toBe('yes');
  expect(order.filter((one) => one !== 'connected')).toEqual(['asked', 'data']);
});

test('a fresh call has a connection of its own', async () => {
  const [transport, { calls }] = await start(() => {});
  for (const fresh of [false, true, false]) await transport.post(hello, {}, fresh);
  expect(calls.map((call) => call.connection)).toEqual([1, 2, 1]);
});

test.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
])('unpacks %s', async (encoding, pack) => {
  const [transport] = await start(({ response }) => {
    response.writeHead(200, { 'Content-Type': 'text/xml', 'Content-Encoding': encoding });
    response.end(pack(encodeResponse('pökked')));
  });
  expect(decodeResponse(await transport.post(hello))).toBe('pökked');
});

test.each([
  [400, 'text/plain', 'Invalid request\n', false, 'HTTP 400 Bad Request: Invalid request'],
  [403, 'text/html', '<html><title>No\n entry</title>', false, 'HTTP 403 Forbidden: No entry'],
  [405, 'text/plain', '', false, 'HTTP 405 Method Not Allowed'],
  [500, 'text/html', '<b>oops', true, 'HTTP 500 Internal Server Error'],
  [502, 'text/html', '<TITLE>502 Proxy Error</TITLE>', true, 'HTTP 502 Bad Gateway: 502 Proxy Error'],
  [503, 'text/html', '<title>Busy</title>', false, 'HTTP 503 Service Unavailable: Busy'],
  [200, 'text/html', '<title>Welcome</title>', true, 'HTTP 200 with text/html, not XML: Welcome'],
])('HTTP %i with %s', async (status, type, body, sent, message) => {
  const [transport] = await start(({ response }) => {
    response.writeHead(status, { 'Content-Type': type }).end(body);
  });
  const error = await rejection(transport.post(hello));
  expect(error).toBeInstanceOf(TransportError);
  expect(error).toMatchObject({ sent, status, message });
});

test('a redirect says where to', async () => {
  const [transport] = await start(({ response }) => {
    response.writeHead(301, { Location: 'https://hub.example/kojihub' }).end();
  });
  expect(await rejection(transport.post(hello))).toMatchObject({
    sent: false,
    message: 'HTTP 301 Moved Permanently, redirects to https://hub.example/kojihub',
  });
});

test('a connection that breaks after the request may have been carried out', async () => {
  const [transport] = await start(({ response }) => response.destroy());
  expect(await rejection(transport.post(hello))).toMatchObject({ sent: true, status: undefined });
});

test('a reply that breaks off may have been carried out', async () => {
  const [transport] = await start(({ response }) => {
    response.writeHead(200, { 'Content-Type': 'text/xml', 'Content-Length': 1000 }).write('<?xml');
    setTimeout(() => response.destroy(), 20);
  });
  expect(await rejection(transport.post(hello))).toMatchObject({ sent: true });
});

test('a reply that does not come in time may have been carried out', async () => {
  const [transport] = await start(({ response }) => response.writeHead(200).flushHeaders(), { timeout: 50 });
  const error = await rejection(transport.post(hello));
  expect(error).toMatchObject({ sent: true });
  expect(error.message).toContain('no reply within 50 ms');
});

test('a refused connection and an unknown host mean that nothing was sent', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  for (const host of [`127.0.0.1:${port}`, 'hub.invalid']) {
    const transport = createTransport({ server: `http://${host}/`, timeout: 5000, userAgent: 'test' });
    expect(await rejection(transport.post(hello))).toMatchObject({ sent: false });
  }
});

test('a TLS handshake that fails means that nothing was sent', async () => {
  const [, stub] = await start(() => {});
  const transport = createTransport({
    server: stub.server.replace('http', 'https'),
    timeout: 5000,
    userAgent: 'test',
  });
  expect(await rejection(transport.post(hello))).toMatchObject({ sent: false });
});

test.each(['identity', 'gzip'])('a reply that is too long (%s)', async (encoding) => {
  const [transport] = await start(
    ({ response }) => {
      const body = Buffer.alloc(5000);
      response.writeHead(200, { 'Content-Type': 'text/xml', 'Content-Encoding': encoding });
      response.end(encoding === 'gzip' ? gzipSync(body) : body);
    },
    { maxReply: 1000 },
  );
  expect(await rejection(transport.post(hello))).toMatchObject({
    sent: true,
    message: expect.stringContaining('longer than 1000 bytes'),
  });
});

test('no more calls at a time than connections, and none is late for having waited', async () => {
  let now = 0;
  let most = 0;
  const stub = await startStub(async () => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 40));
    now -= 1;
    return 'ok';
  });
  const transport = createTransport({ server: stub.server, timeout: 100, userAgent: 'test', maxSockets: 2 });
  cleanups.push(stub.close, transport.close);
  await Promise.all(Array.from({ length: 8 }, () => transport.post(hello)));
  expect(most).toBe(2);
});

test('close ends the calls that wait for a connection, and they were not sent', async () => {
  const [transport, { calls }] = await start(
    ({ response }) => {
      response.flushHeaders();
      transport.close();
    },
    { maxSockets: 1 },
  );
  const errors = await Promise.all(Array.from({ length: 4 }, () => rejection(transport.post(hello))));
  expect(errors.map((error) => (error as TransportError).sent)).toEqual([true, false, false, false]);
  expect(calls).toHaveLength(1);
});

test('a connection that does not come about counts against the deadline', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  cleanups.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const transport = createTransport({ server: `https://127.0.0.1:${port}/`, timeout: 50, userAgent: 'test' });
  cleanups.push(transport.close);
  expect(await rejection(transport.post(hello))).toMatchObject({
    sent: false,
    message: expect.stringContaining('no connection within 50 ms'),
  });
});

test('a fresh call does not wait for kept connections', async () => {
  const [transport, { calls }] = await start(
    ({ response }) => {
      if (calls.length === 1) response.flushHeaders();
    },
    { maxSockets: 1 },
  );
  const stuck = rejection(transport.post(hello));
  expect(decodeResponse(await transport.post(hello, {}, true))).toBe('ok');
  transport.close();
  await stuck;
});

test('close aborts what is under way, and refuses the rest', async () => {
  const [transport] = await start(({ response }) => {
    response.flushHeaders();
    transport.close();
  });
  const error = await rejection(transport.post(hello));
  expect(error).toMatchObject({ sent: true, message: expect.stringContaining('the client is closed') });
  expect(await rejection(transport.post(hello))).toMatchObject({
    sent: false,
    message: 'the client is closed',
  });
});

test.each(['', 'koji.example.org/kojihub', 'ftp://koji.example.org'])('%j is not a server', (server) => {
  expect(() => createTransport({ server, timeout: 1, userAgent: 'test' })).toThrow(
    'is not an http or https URL',
  );
});
