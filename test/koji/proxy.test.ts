import { readFileSync } from 'node:fs';
import http, { type IncomingHttpHeaders } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { getKojiVersion, tagBuild } from '../../src/koji/calls.ts';
import { connectHub } from '../../src/koji/client.ts';
import { type Hub, SettingsError } from '../../src/koji/hub.ts';
import { proxyFor } from '../../src/koji/proxy.ts';
import { createTransport, type Transport, type TransportOptions } from '../../src/koji/transport.ts';
import { encodeCall } from '../../src/koji/xmlrpc.ts';
import { encodeResponse } from '../../src/sim/replies.ts';
import { type Authority, createAuthority, openssl } from '../servers/httpd.ts';
import { rejection } from './stub.ts';

describe('the environment names a proxy', () => {
  test.each<[string, NodeJS.ProcessEnv, string, string | undefined]>([
    ['none', {}, 'https://hub.example.org/kojihub', undefined],
    ['https', { https_proxy: 'http://proxy:3128' }, 'https://hub.example.org/kojihub', 'http://proxy:3128/'],
    ['of the other scheme', { http_proxy: 'http://proxy:3128' }, 'https://hub.example.org/', undefined],
    ['http', { http_proxy: 'http://proxy:3128' }, 'http://hub.example.org/', 'http://proxy:3128/'],
    ['in upper case', { HTTPS_PROXY: 'http://proxy:3128' }, 'https://hub.example.org/', 'http://proxy:3128/'],
    [
      'in both cases',
      { HTTPS_PROXY: 'http://upper:1', https_proxy: 'http://lower:1' },
      'https://hub/',
      'http://lower:1/',
    ],
    ['for all', { all_proxy: 'https://proxy:3128' }, 'https://hub.example.org/', 'https://proxy:3128/'],
    ['without a scheme', { https_proxy: 'proxy:3128' }, 'https://hub.example.org/', 'http://proxy:3128/'],
    ['empty', { https_proxy: '' }, 'https://hub.example.org/', undefined],
  ])('%s', (_, env, server, expected) => {
    expect(proxyFor(server, env)?.href).toBe(expected);
  });

  test.each<[no_proxy: string, server: string, excepted: boolean]>([
    ['*', 'https://hub.example.org/', true],
    ['hub.example.org', 'https://hub.example.org/', true],
    ['example.org', 'https://hub.example.org/', true],
    ['.example.org', 'https://hub.example.org/', true],
    ['*.example.org', 'https://hub.example.org/', true],
    ['EXAMPLE.org', 'https://hub.example.org/', true],
    ['other, example.org', 'https://hub.example.org/', true],
    ['ample.org', 'https://hub.example.org/', false],
    ['hub.example.org:443', 'https://hub.example.org/', true],
    ['hub.example.org:8443', 'https://hub.example.org/', false],
    ['hub.example.org:8443', 'https://hub.example.org:8443/', true],
    ['', 'https://hub.example.org/', false],
    ['::1', 'https://[::1]/', true],
    ['[::1]', 'https://[::1]/', true],
    ['0:0:0:0:0:0:0:1', 'https://[::1]/', true],
    ['[::1]:8443', 'https://[::1]:8443/', true],
    ['[::1]:8443', 'https://[::1]/', false],
    ['::1', 'https://[::2]/', false],
    ['fd00::/8', 'https://[fd12::3]/', true],
    ['fd00::/8', 'https://[fe12::3]/', false],
    ['10.1.2.3', 'https://10.1.2.3/', true],
    ['10.1.2.3:8443', 'https://10.1.2.3:8443/', true],
    ['10.1.2.3:8443', 'https://10.1.2.3/', false],
    ['10.0.0.0/8', 'https://10.1.2.3/', true],
    ['10.9.9.9/8', 'https://10.1.2.3/', true],
    ['10.0.0.0/8', 'https://11.1.2.3/', false],
    ['10.0.0.0/8', 'https://[::1]/', false],
    ['10.0.0.0/8', 'https://hub10.example.org/', false],
    ['10.0.0.0/33', 'https://10.0.0.0/', false],
    ['10.0.0.0/', 'https://10.0.0.0/', false],
    ['2.3', 'https://10.1.2.3/', false],
  ])('but no_proxy = %j for %s: excepted %s', (no_proxy, server, excepted) => {
    const found = proxyFor(server, { https_proxy: 'http://proxy:3128', no_proxy });
    expect(found === undefined).toBe(excepted);
  });

  test.each(['socks5://user:hunter2@proxy:1080', 'http://:hunter2', 'http://user:hunter2@'])(
    'that cannot be used (%s) is told without its value',
    (https_proxy) => {
      const told = () => proxyFor('https://hub.example.org/', { https_proxy });
      expect(told).toThrow(
        /^https_proxy in the environment is not .*; mend it, or name hub\.example\.org in no_proxy$/,
      );
      expect(told).not.toThrow(/hunter2/);
    },
  );

  test.each(['http://user:hunter2%@proxy:1080', 'http://us%er:hunter2@proxy', 'http://u:hunter2%ff@proxy'])(
    'with an account that is not in URL encoding (%s) is told without its value',
    (https_proxy) => {
      const told = () => proxyFor('https://hub.example.org/', { https_proxy });
      expect(told).toThrow(SettingsError);
      expect(told).toThrow(/^https_proxy in the environment .*: write a % as %25$/);
      expect(told).not.toThrow(/hunter2/);
    },
  );
});

describe.skipIf(!openssl())('through a proxy', () => {
  let authority: Authority;
  let secure: https.Server;
  let plain: http.Server;
  let proxy: http.Server;
  let hub: Hub | undefined;
  let transport: Transport | undefined;
  /** What the proxy was asked for, and how it answers a CONNECT. */
  let asked: { line: string; headers: IncomingHttpHeaders }[];
  let answerConnect: (socket: Duplex, to: string) => void;
  /** How long the hub takes to answer, in milliseconds. */
  let pause = 0;

  const portOf = (server: net.Server) => (server.address() as AddressInfo).port;
  const listen = <T extends net.Server>(server: T): Promise<T> =>
    new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
  const tunnel = (socket: Duplex, to: string) => {
    const [, port] = to.split(':');
    const out = net.connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(out).pipe(socket);
    });
    for (const end of [socket, out]) end.on('error', () => out.destroy());
  };
  const version: http.RequestListener = (request, response) => {
    request.resume();
    response.setHeader('Content-Type', 'text/xml');
    setTimeout(() => response.end(encodeResponse('1.35.3')), pause);
  };

  beforeAll(async () => {
    authority = createAuthority();
    const pem = readFileSync(authority.issue('hub'));
    secure = await listen(https.createServer({ key: pem, cert: pem }, version));
    plain = await listen(http.createServer(version));
    proxy = await listen(
      http.createServer((request, response) => {
        asked.push({ line: `${request.method} ${request.url}`, headers: request.headers });
        const { port, pathname } = new URL(request.url ?? '');
        const onward = http.request({ port, path: pathname, host: '127.0.0.1', method: 'POST' }, (reply) => {
          response.writeHead(reply.statusCode ?? 0, reply.headers);
          reply.pipe(response);
        });
        request.pipe(onward);
      }),
    );
    proxy.on('connect', ({ url = '', headers }, socket: Duplex) => {
      asked.push({ line: `CONNECT ${url}`, headers });
      answerConnect(socket, url);
      // Else nobody notices that the client has gone.
      socket.resume().once('end', () => socket.destroy());
    });
  });
  afterEach(async () => {
    vi.useRealTimers();
    await hub?.close();
    transport?.close();
    pause = 0;
  });
  afterAll(async () => {
    for (const server of [secure, plain, proxy]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    authority.remove();
  });

  /** A client that goes through the proxy to the hub at `server`. */
  function connect(server: string, user = '', options: { timeout?: number; serverca?: string } = {}): Hub {
    asked = [];
    answerConnect = tunnel;
    const url = `http://${user}127.0.0.1:${portOf(proxy)}`;
    const env = { http_proxy: url, https_proxy: url };
    const account = { authtype: 'password', user: 'u', password: 'p' } as const;
    hub = connectHub({ server, ...account, timeout: 2_000, serverca: authority.ca, env, ...options });
    return hub;
  }
  /** The same, without what a client adds. */
  function transportTo(server: string, options: Partial<TransportOptions> = {}): Transport {
    asked = [];
    answerConnect = tunnel;
    const url = new URL(`http://127.0.0.1:${portOf(proxy)}`);
    const trust = { ca: readFileSync(authority.ca) };
    const settings = { server, timeout: 2_000, userAgent: 'test', tls: trust, proxy: url };
    transport = createTransport({ ...settings, ...options });
    return transport;
  }
  const hello = encodeCall('hello', []);
  const secureUrl = () => `https://localhost:${portOf(secure)}/kojihub`;

  test('an https hub is reached in a tunnel, which is kept', async () => {
    const client = connect(secureUrl());
    expect(await client.read(getKojiVersion())).toBe('1.35.3');
    expect(await client.read(getKojiVersion())).toBe('1.35.3');
    expect(asked.map(({ line }) => line)).toEqual([`CONNECT localhost:${portOf(secure)}`]);
  });
  test('its certificate is checked all the same', async () => {
    const other = createAuthority();
    const client = connect(secureUrl(), '', { serverca: other.ca });
    expect(await rejection(client.write(tagBuild('t', 1)))).toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('name its authority with serverca'),
    });
    other.remove();
  });
  test('an http hub is asked for by its whole URL', async () => {
    const server = `http://localhost:${portOf(plain)}/kojihub`;
    expect(await connect(server).read(getKojiVersion())).toBe('1.35.3');
    expect(asked).toMatchObject([
      { line: `POST ${server}`, headers: { host: `localhost:${portOf(plain)}`, 'user-agent': 'kmod-gate' } },
    ]);
  });
  test('a hub at an IPv6 address is asked for in brackets', async () => {
    const transport = transportTo('https://[::1]:40483/kojihub');
    answerConnect = (socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    expect((await rejection(transport.post(hello))).message).toContain('through to [::1]:40483: HTTP 403');
    expect(asked).toMatchObject([{ line: 'CONNECT [::1]:40483', headers: { host: '[::1]:40483' } }]);
  });
  test.each(['http', 'https'])('user and password of the proxy go along (%s)', async (scheme) => {
    const server = scheme === 'https' ? secureUrl() : `http://localhost:${portOf(plain)}/kojihub`;
    await connect(server, 'gate:p%40ss@').read(getKojiVersion());
    const basic = `Basic ${Buffer.from('gate:p@ss').toString('base64')}`;
    expect(asked[0]?.headers['proxy-authorization']).toBe(basic);
  });
  test('a proxy that says no is told, and nothing was sent', async () => {
    const client = connect(secureUrl(), 'gate:hunter2@');
    answerConnect = (socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    const error = await rejection(client.write(tagBuild('t', 1)));
    expect(error).toMatchObject({ kind: 'unavailable', method: 'login' });
    expect(error.message).toMatch(/does not let us through to localhost:\d+: HTTP 407 .*; check https_proxy/);
    expect(error.message).not.toContain('hunter2');
  });
  test.each<[string, typeof answerConnect]>([
    ['the proxy', () => {}],
    ['the hub behind it', (socket) => socket.write('HTTP/1.1 200 Connection established\r\n\r\n')],
  ])('%s does not answer: within the deadline, and nothing was sent', async (_, answer) => {
    const client = connect(secureUrl(), '', { timeout: 200 });
    answerConnect = answer;
    expect(await rejection(client.write(tagBuild('t', 1)))).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/no connection through the proxy .* within 200 ms/),
    });
  });
  test('a proxy that is not there is told', async () => {
    const free = await listen(net.createServer());
    const port = portOf(free);
    await new Promise((resolve) => free.close(resolve));
    const env = { https_proxy: `http://127.0.0.1:${port}` };
    hub = connectHub({ server: secureUrl(), authtype: 'noauth', timeout: 2_000, env });
    expect(await rejection(hub.read(getKojiVersion()))).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/the proxy 127\.0\.0\.1:\d+: .*ECONNREFUSED/),
    });
  });
  describe('that is spoken to in TLS itself', () => {
    let front: https.Server;
    let names: unknown[];
    beforeAll(async () => {
      const pem = readFileSync(authority.issue('proxy'));
      front = https.createServer({ key: pem, cert: pem }, (request, response) =>
        proxy.emit('request', request, response),
      );
      front.on('connect', (...all) => proxy.emit('connect', ...all));
      front.on('secureConnection', ({ servername }) => names.push(servername));
      await listen(front);
    });
    afterEach(() => vi.unstubAllEnvs());
    afterAll(async () => {
      front.closeAllConnections();
      await new Promise((resolve) => front.close(resolve));
    });
    const through = (server: string, options: Partial<TransportOptions> = {}, host = 'localhost') => {
      names = [];
      return transportTo(server, { proxy: new URL(`https://${host}:${portOf(front)}`), ...options });
    };
    const plainUrl = () => `http://127.0.0.1:${portOf(plain)}/kojihub`;
    // This process trusts no proxy: what would name its authority is read at the start only.
    const trust = () => vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');

    test.each([
      ['http', plainUrl],
      ['https', () => secureUrl().replace('localhost', '127.0.0.1')],
    ])('is asked for by its own name (%s)', async (_, server) => {
      trust();
      expect(await through(server()).post(hello)).toContain('1.35.3');
      expect(names).toEqual(['localhost']);
    });
    test('has no name to ask for at an address', async () => {
      trust();
      const server = `http://localhost:${portOf(plain)}/kojihub`;
      expect(await through(server, {}, '127.0.0.1').post(hello)).toContain('1.35.3');
      expect(names).toEqual([false]);
    });
    test.each<[string, () => Partial<TransportOptions>]>([
      ['the authority', () => ({})],
      ['the neglect', () => ({ tls: { rejectUnauthorized: false } })],
    ])('is not trusted by %s of an http hub', async (_, options) => {
      for (const fresh of [true, false]) {
        const error = await rejection(through(plainUrl(), options()).post(hello, {}, fresh));
        expect(error).toMatchObject({
          sent: false,
          message: expect.stringContaining('the proxy localhost:'),
        });
        expect(error.message).toMatch(/certificate|verify/);
        expect(error.message).not.toContain('serverca');
      }
      expect(asked).toEqual([]);
    });
  });
  test('no more tunnels at a time than connections', async () => {
    const transport = transportTo(secureUrl(), { maxSockets: 3 });
    let most = 0;
    answerConnect = (socket, to) => {
      most = Math.max(most, asked.length);
      setTimeout(() => tunnel(socket, to), 30);
    };
    await Promise.all(Array.from({ length: 12 }, () => transport.post(hello)));
    expect(asked.length).toBe(3);
    expect(most).toBe(3);
  });
  test('when the proxy dies, each of many calls ends, also those that wait', async () => {
    // Longer than a test may take.
    const transport = transportTo(secureUrl(), { maxSockets: 3, timeout: 60_000 });
    pause = 60_000;
    let reached = 0;
    const allReached = new Promise<void>((resolve) => {
      secure.on('request', () => {
        reached += 1;
        if (reached === 3) resolve();
      });
    });
    const open: Duplex[] = [];
    answerConnect = (socket, to) => {
      open.push(socket);
      tunnel(socket, to);
    };
    const post = () => rejection(transport.post(hello));
    const first = Array.from({ length: 3 }, post);
    await allReached;
    const later = Array.from({ length: 9 }, post);
    answerConnect = (socket) => socket.destroy();
    for (const socket of open) socket.destroy();
    for (const error of await Promise.all(first)) expect(error).toMatchObject({ sent: true });
    for (const error of await Promise.all(later)) expect(error).toMatchObject({ sent: false });
  });
  test('tunnel and call have one deadline', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const transport = transportTo(secureUrl(), { timeout: 400 });
    const wanted = new Promise<() => void>((resolve) => {
      answerConnect = (socket, to) => resolve(() => tunnel(socket, to));
    });
    pause = 60_000;
    const called = new Promise((resolve) => secure.once('request', resolve));
    const failure = rejection(transport.post(hello));
    const open = await wanted;
    vi.advanceTimersByTime(250);
    open();
    await called;
    vi.advanceTimersByTime(149);
    const turn = new Promise((resolve) => setImmediate(() => resolve('still waits')));
    expect(await Promise.race([failure, turn])).toBe('still waits');
    vi.advanceTimersByTime(1);
    expect(await failure).toMatchObject({
      sent: true,
      message: expect.stringContaining('no reply within 400 ms'),
    });
  });
  test('close ends a tunnel that is being made, and the calls that wait for one', async () => {
    const transport = transportTo(secureUrl(), { maxSockets: 2, timeout: 60_000 });
    answerConnect = () => {
      if (asked.length === 2) transport.close();
    };
    const calls = Array.from({ length: 6 }, () => rejection(transport.post(hello)));
    for (const error of await Promise.all(calls)) {
      expect(error).toMatchObject({ sent: false, message: expect.stringContaining('the client is closed') });
    }
    expect(asked.length).toBe(2);
  });
  test('close of a hub ends a tunnel that is being made', async () => {
    const client = connect(secureUrl(), '', { timeout: 60_000 });
    let reached = () => {};
    const waiting = new Promise<void>((resolve) => {
      reached = resolve;
    });
    answerConnect = () => reached();
    const pending = rejection(client.read(getKojiVersion()));
    await waiting;
    await client.close();
    expect((await pending).message).toContain('the client is closed');
  });
});
