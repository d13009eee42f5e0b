import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import {
  cancelTask,
  getBuild,
  getLoggedInUser,
  getTaskInfo,
  getTaskResult,
  hasPerm,
  tagBuild,
} from '../../src/koji/calls.ts';
import { connectHub, type HubOptions } from '../../src/koji/client.ts';
import { type Hub, HubError } from '../../src/koji/hub.ts';
import { Fault, type XmlStruct, type XmlValue } from '../../src/koji/xmlrpc.ts';
import { connectStub, rejection, type Stub, type StubCall, startStub } from './stub.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const KEY = '2-topsecret';

/** A hub that keeps sessions; `handle` sees everything but login and logout. */
async function start(
  handle: (call: StubCall, n: number) => XmlValue | Promise<XmlValue>,
  options: Partial<HubOptions> = {},
): Promise<[Hub, Stub]> {
  let sessions = 0;
  let seen = 0;
  const stub = await startStub((call) => {
    if (call.method === 'login') return { 'session-id': ++sessions, 'session-key': KEY, 'header-auth': true };
    if (call.method === 'logout') return null;
    return handle(call, ++seen);
  });
  const hub = connectStub(stub, options);
  cleanups.push(stub.close, () => hub.close());
  return [hub, stub];
}

/** Each call as `METHOD SESSION/CALLNUM`. */
const trace = ({ calls }: Stub) =>
  calls.map(({ method, headers }) => {
    const { 'koji-session-id': id, 'koji-session-callnum': callnum } = headers;
    return id === undefined ? method : `${method} ${id}/${callnum ?? ''}`;
  });

/** Lose the reply to a call. */
const lose = ({ response }: StubCall) => {
  response.destroy();
  return null;
};

describe('reads', () => {
  test('go without a session', async () => {
    const [hub, stub] = await start(() => ({ id: 5, name: 'kmod-gate', status: 0 }));
    expect(await hub.read(getLoggedInUser())).toEqual({ id: 5, name: 'kmod-gate' });
    expect(trace(stub)).toEqual(['getLoggedInUser']);
  });

  test('are tried again while nobody answers', async () => {
    const [hub, stub] = await start((call, n) => {
      if (n === 1) return lose(call);
      if (n === 2)
        call.response.writeHead(502, { 'Content-Type': 'text/html' }).end('<title>Proxy Error</title>');
      return null;
    });
    expect(await hub.read(getBuild(1))).toBeNull();
    expect(stub.calls).toHaveLength(3);
  });

  test('are given up after three tries', async () => {
    const [hub, stub] = await start(() => {
      throw new Fault(1014, 'database upgrade, back at 18:00 UTC');
    });
    expect(await rejection(hub.read(getBuild(1)))).toMatchObject({
      kind: 'unavailable',
      code: 1014,
      message: 'getBuild: database upgrade, back at 18:00 UTC (fault 1014, hub offline; it is tried again)',
    });
    expect(stub.calls).toHaveLength(3);
  });

  test.each([
    [1000, 'No such build', 'getBuild: No such build (fault 1000, error)'],
    [
      1021,
      'bad setting',
      "getBuild: bad setting (fault 1021, configuration error; the hub's admin must mend its configuration)",
    ],
    [1999, 'of a newer Koji', 'getBuild: of a newer Koji (fault 1999)'],
    [
      1,
      'Traceback (most recent call last):\n  File "x.py", line 1\nsql.Error: no\nLINE 1: SELECT\n   ^\n',
      "getBuild: sql.Error: no (fault 1, unexpected error on the hub; the hub's log tells more)",
    ],
  ])('that are refused (%i) are not tried again', async (code, text, message) => {
    const [hub, stub] = await start(() => {
      throw new Fault(code, text);
    });
    expect(await rejection(hub.read(getBuild(1)))).toMatchObject({
      kind: 'refused',
      code,
      method: 'getBuild',
      message,
    });
    expect(stub.calls).toHaveLength(1);
  });

  test.each([1, ...Array.from({ length: 25 }, (_, i) => 1000 + i)])(
    'fault %i has a meaning',
    async (code) => {
      const [hub] = await start(() => {
        throw new Fault(code, 'why');
      });
      const { message } = await rejection(hub.read(getBuild(1)));
      expect(message).toMatch(new RegExp(`^getBuild: why \\(fault ${code}, .+\\)$`));
    },
  );

  test('an HTTP status that means no is a refusal', async () => {
    const [hub] = await start(({ response }) => {
      response.writeHead(404, { 'Content-Type': 'text/html' }).end('<title>Not here</title>');
      return null;
    });
    expect(await rejection(hub.read(getBuild(1)))).toMatchObject({
      kind: 'refused',
      message: 'getBuild: HTTP 404 Not Found: Not here',
    });
  });

  test('a reply of another shape names the place', async () => {
    const [hub] = await start(() => ({ id: 'seven' }));
    expect(await rejection(hub.read(getLoggedInUser()))).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/^getLoggedInUser: unexpected reply: reply\.id: /),
    });
  });

  test('what cannot be sent is refused', async () => {
    const [hub, stub] = await start(() => null);
    expect(await rejection(hub.read(getBuild('a\u0000')))).toMatchObject({
      kind: 'refused',
      message: 'getBuild: params[0]: XML cannot carry U+0000 (character 1)',
    });
    expect(stub.calls).toEqual([]);
  });
});

describe('a hub that takes its time to fail', () => {
  test('is not asked again at once: others wait too', async () => {
    const [hub, stub] = await start(async ({ response }) => {
      await new Promise((resolve) => setTimeout(resolve, 2_100));
      response.writeHead(502, { 'Content-Type': 'text/html' }).end('<title>Proxy Error</title>');
      return null;
    });
    expect(await rejection(hub.read(getBuild(1)))).toMatchObject({ kind: 'unavailable' });
    expect(stub.calls).toHaveLength(1);
  });
});

describe('an exception of the hub', () => {
  const trace = (last: string) => `Traceback (most recent call last):\n  File "x.py", line 1\n${last}`;
  test.each([
    ['psycopg2.errors.QueryCanceled: canceling statement due to statement timeout', 'unavailable'],
    ['OSError: [Errno 22] Invalid argument', 'refused'],
  ])('%s is %s, alone or in a group', async (last, kind) => {
    const [hub] = await start(({ method }) => {
      if (method !== 'multiCall') throw new Fault(1, trace(last));
      const [, words = ''] = last.split(': ');
      return [
        {
          faultCode: 1,
          faultString: words,
          traceback: ['Traceback (most recent call last):\n', `${last}\n`],
        },
      ];
    });
    expect(await rejection(hub.read(getBuild(1)))).toMatchObject({ kind, code: 1 });
    const [answer] = await hub.readAll([getBuild(1)]);
    expect(answer).toMatchObject({ ok: false, error: { kind, message: expect.stringContaining(last) } });
  });

  test('with the values of all variables, as a debugging hub sends it, gives none of them away', async () => {
    const text = `${trace('koji.AuthError: no')}\nLocals by frame, innermost last\npassword: hunter2\nx.y: hunter2`;
    for (const code of [1, 1002]) {
      const stub = await startStub(() => {
        throw new Fault(code, text);
      });
      const account = { authtype: 'password', user: 'u', password: 'hunter2' } as const;
      const hub = connectHub({ server: stub.server, ...account, timeout: 5000 });
      cleanups.push(stub.close, () => hub.close());
      const { message } = await rejection(hub.write(tagBuild('a', 1)));
      expect(message).toMatch(/^login: koji\.AuthError: no/);
      expect(message).not.toContain('hunter2');
    }
  });
});

describe('groups', () => {
  const echo = ({ params }: StubCall) =>
    (params[0] as XmlStruct[]).map((call): XmlValue => {
      const [id] = call['params'] as number[];
      return id === 3
        ? { faultCode: 1000, faultString: 'No such task', traceback: [] }
        : [{ faultString: `${id}` }];
    });

  test('one fault fails one call', async () => {
    const [hub, stub] = await start(echo);
    const answers = await hub.readAll([2, 3].map(getTaskResult));
    expect(answers[0]).toEqual({ ok: true, value: { faultString: '2' } });
    expect(answers[1]).toMatchObject({
      ok: false,
      error: {
        kind: 'refused',
        method: 'getTaskResult',
        code: 1000,
        message: 'getTaskResult: No such task (fault 1000, error)',
      },
    });
    expect(stub.calls[0]?.params).toEqual([
      [2, 3].map((id) => ({
        methodName: 'getTaskResult',
        params: [id, { raise_fault: false, __starstar: true }],
      })),
    ]);
  });

  test('a reply of another shape fails one call', async () => {
    const [hub] = await start(() => [[null], [7]]);
    const [first, second] = await hub.readAll([getBuild(1), getTaskInfo(1)]);
    expect(first).toEqual({ ok: true, value: null });
    expect(second).toMatchObject({ ok: false, error: { kind: 'unavailable', method: 'getTaskInfo' } });
  });

  test('reads go a hundred a request, and come back in order', async () => {
    const [hub, stub] = await start(echo);
    const ids = Array.from({ length: 250 }, (_, i) => 1000 + i);
    const answers = await hub.readAll(ids.map(getTaskResult));
    expect(answers.map((answer) => answer.ok && answer.value)).toEqual(
      ids.map((id) => ({ faultString: `${id}` })),
    );
    expect(stub.calls).toHaveLength(3);
  });

  test('no calls are no request', async () => {
    const [hub, stub] = await start(echo);
    expect(await hub.readAll([])).toEqual([]);
    expect(await hub.writeAll([])).toEqual([]);
    expect(stub.calls).toEqual([]);
  });

  test('a lost reply or one with the wrong number of results fails the group', async () => {
    const [hub] = await start((call, n) => (n === 1 ? lose(call) : [[1]]));
    const calls = [tagBuild('a', 1), tagBuild('b', 1)];
    expect(await rejection(hub.writeAll(calls))).toMatchObject({ kind: 'unknown', method: 'multiCall' });
    expect(await rejection(hub.writeAll(calls))).toMatchObject({ kind: 'unknown', method: 'multiCall' });
    expect(await rejection(hub.readAll(calls))).toMatchObject({ kind: 'unavailable', method: 'multiCall' });
  });
});

describe('writes', () => {
  test('go one after the other, each with the next call number', async () => {
    let now = 0;
    const [hub, stub] = await start(({ method }) => {
      expect(++now).toBe(1);
      now -= 1;
      return method === 'multiCall' ? [[1]] : 1;
    });
    await Promise.all([
      hub.write(tagBuild('a', 1)),
      hub.writeAll([tagBuild('a', 2)]),
      hub.write(tagBuild('a', 3)),
    ]);
    expect(trace(stub)).toEqual(['login', 'tagBuild 1/0', 'multiCall 1/1', 'tagBuild 1/2']);
    expect(stub.calls[0]?.params).toEqual(['kmod-gate', 'hunter2']);
    // The second one is what hubs of 1.31 to 1.34 look for.
    const numbers = { 'koji-session-callnum': '0', 'koji-callnum': '0' };
    expect(stub.calls[1]?.headers).toMatchObject({ 'koji-session-key': KEY, ...numbers });
  });

  test.each([1002, 1007])('a session that is over (%i): log in and send again', async (code) => {
    const [hub, stub] = await start((_, n) => {
      if (n === 2) throw new Fault(code, 'session has expired');
      return n;
    });
    await hub.write(tagBuild('a', 1));
    expect(await hub.write(tagBuild('a', 2))).toBe(3);
    expect(trace(stub)).toEqual(['login', 'tagBuild 1/0', 'tagBuild 1/1', 'login', 'tagBuild 2/0']);
  });

  test('a hub that takes no session at all is asked twice', async () => {
    const [hub, stub] = await start(() => {
      throw new Fault(1002, 'Invalid session or bad credentials');
    });
    expect(await rejection(hub.write(tagBuild('a', 1)))).toMatchObject({ kind: 'unavailable', code: 1002 });
    expect(trace(stub)).toEqual(['login', 'tagBuild 1/0', 'login', 'tagBuild 2/0']);
  });

  test('a lost reply is unknown, not repeated, and its session ends before the next call', async () => {
    const [hub, stub] = await start((call, n) => (n === 1 ? lose(call) : true));
    expect(await rejection(hub.write(tagBuild('a', 1)))).toMatchObject({
      kind: 'unknown',
      method: 'tagBuild',
    });
    expect(await hub.write(hasPerm('tag'))).toBe(true);
    expect(trace(stub)).toEqual(['login', 'tagBuild 1/0', 'logout 1/', 'login', 'hasPerm 2/0']);
  });

  test('as long as that session cannot be ended, nothing is sent', async () => {
    let offline = true;
    const stub = await startStub((call) => {
      if (call.method === 'login') return { 'session-id': 1, 'session-key': KEY, 'header-auth': true };
      if (call.method === 'logout' && offline) throw new Fault(1014, 'maintenance');
      if (call.method === 'logout') throw new Fault(1007, 'session "1" has expired');
      return call.method === 'tagBuild' ? lose(call) : true;
    });
    const hub = connectHub({
      server: stub.server,
      authtype: 'password',
      user: 'u',
      password: 'p',
      timeout: 5000,
    });
    cleanups.push(stub.close, () => hub.close());
    await rejection(hub.write(tagBuild('a', 1)));
    expect(await rejection(hub.write(hasPerm('tag')))).toMatchObject({
      kind: 'unavailable',
      method: 'logout',
    });
    offline = false;
    expect(await hub.write(hasPerm('tag'))).toBe(true);
    expect(trace(stub)).toEqual(['login', 'tagBuild 1/0', 'logout 1/', 'logout 1/', 'login', 'hasPerm 1/0']);
  });

  test.each([1008, 1009])('calls out of order (%i) are unknown, and the session ends', async (code) => {
    const [hub, stub] = await start((_, n) => {
      if (n === 1) throw new Fault(code, '17 > 1 (session 1)');
      return true;
    });
    expect(await rejection(hub.write(tagBuild('a', 1)))).toMatchObject({ kind: 'unknown', code });
    await hub.write(hasPerm('tag'));
    expect(trace(stub)).toEqual(['login', 'tagBuild 1/0', 'logout 1/', 'login', 'hasPerm 2/0']);
  });

  test.each([
    [1003, 'refused'],
    [1001, 'unavailable'],
    [1006, 'unavailable'],
    [1014, 'unavailable'],
  ])('fault %i is %s, once, and the session stays', async (code, kind) => {
    const [hub, stub] = await start((_, n) => {
      if (n === 1) throw new Fault(code, 'no');
      return true;
    });
    expect(await rejection(hub.write(tagBuild('a', 1)))).toMatchObject({ kind, code });
    await hub.write(hasPerm('tag'));
    expect(trace(stub)).toEqual(['login', 'tagBuild 1/0', 'hasPerm 1/1']);
  });

  test.each([
    [502, 'unknown'],
    [503, 'unavailable'],
    [429, 'unavailable'],
    [403, 'refused'],
  ])('HTTP %i is %s', async (status, kind) => {
    const [hub] = await start(({ response }) => {
      response.writeHead(status, { 'Content-Type': 'text/html' }).end('<title>no</title>');
      return null;
    });
    expect(await rejection(hub.write(cancelTask(1)))).toMatchObject({ kind, method: 'cancelTask' });
  });

  test('a reply that is garbled or of another shape is unknown', async () => {
    const [hub] = await start(({ response }, n) => {
      if (n === 1)
        response.writeHead(200, { 'Content-Type': 'text/xml' }).end('<?xml version="1.0"?><methodRes');
      return 'no task id';
    });
    expect(await rejection(hub.write(tagBuild('a', 1)))).toMatchObject({ kind: 'unknown' });
    expect(await rejection(hub.write(tagBuild('a', 1)))).toMatchObject({ kind: 'unknown' });
  });

  test('a permit is asked right before each write leaves, in its turn; without it nothing is sent', async () => {
    const seen: string[] = [];
    const [hub, stub] = await start(({ method, params }) => {
      seen.push(`hub ${params[1]}`);
      return method === 'multiCall' ? [[1]] : 1;
    });
    const permit = (what: string) => () => void seen.push(what);
    const no = new HubError('unavailable', 'lease', 'another one acts');
    const forbid = () => {
      throw no;
    };
    const writes = [
      hub.write(tagBuild('a', 1), permit('ask 1')),
      hub.write(tagBuild('a', 2), forbid),
      hub.writeAll([tagBuild('a', 3)], forbid),
      hub.write(tagBuild('a', 4), permit('ask 4')),
    ];
    expect((await Promise.allSettled(writes)).map((one) => (one as { reason?: unknown }).reason)).toEqual([
      undefined,
      no,
      no,
      undefined,
    ]);
    expect(seen).toEqual(['ask 1', 'hub 1', 'ask 4', 'hub 4']);
    // Nothing was lost, so the session goes on.
    expect(trace(stub)).toEqual(['login', 'tagBuild 1/0', 'tagBuild 1/3']);
  });

  test('a write whose session is over asks for a new permit', async () => {
    let asked = 0;
    const [hub] = await start((_, n) => {
      if (n === 1) throw new Fault(1007, 'session has expired');
      return n;
    });
    await hub.write(tagBuild('a', 1), () => {
      asked += 1;
    });
    expect(asked).toBe(2);
  });

  test('a hub that is not there is unavailable', async () => {
    const [hub, stub] = await start(() => null);
    await stub.close();
    cleanups.splice(0);
    expect(await rejection(hub.write(tagBuild('a', 1)))).toMatchObject({
      kind: 'unavailable',
      method: 'login',
    });
  });
});

describe('login', () => {
  const connect = async (login: (call: StubCall) => XmlValue) => {
    const stub = await startStub(login);
    const hub = connectHub({
      server: stub.server,
      authtype: 'password',
      user: 'u',
      password: 'hunter2',
      timeout: 5000,
    });
    cleanups.push(stub.close, () => hub.close());
    return hub.write(tagBuild('a', 1));
  };
  const badLogin = () => {
    throw new Fault(1002, 'invalid username or password');
  };
  const garbled = ({ response }: StubCall) => {
    response.writeHead(200, { 'Content-Type': 'text/xml' }).end(`<methodResponse>${KEY}</nonsense>`);
    return null;
  };
  test.each<[string, (call: StubCall) => XmlValue, string, RegExp]>([
    ['bad credentials', badLogin, 'unavailable', /^login: invalid username or password$/],
    ['a garbled reply', garbled, 'unavailable', /^login: the reply is not XML-RPC$/],
    ['another shape', () => ({ 'session-key': KEY }), 'unavailable', /no session-id/],
    ['a lost reply', lose, 'unavailable', /^login: /],
  ])('%s', async (_, login, kind, message) => {
    const error = (await rejection(connect(login))) as HubError;
    expect(error).toBeInstanceOf(HubError);
    expect(error).toMatchObject({ kind, method: 'login', message: expect.stringMatching(message) });
    expect(`${error.stack} ${JSON.stringify(error.cause)}`).not.toMatch(/topsecret|hunter2/);
  });

  test('a hub that does not know session headers gets the session in the query', async () => {
    const paths: string[] = [];
    const stub = await startStub(({ method, headers, url, response }) => {
      if (method === 'login') return { 'session-id': 7, 'session-key': KEY };
      expect(headers['koji-session-id']).toBeUndefined();
      paths.push(url);
      if (paths.length === 2) response.writeHead(302, { Location: `${url}&elsewhere` }).end();
      return 1;
    });
    const hub = connectHub({
      server: stub.server,
      authtype: 'password',
      user: 'u',
      password: 'hunter2',
      timeout: 5000,
    });
    cleanups.push(stub.close, () => hub.close());
    await hub.write(tagBuild('a', 1));
    const error = (await rejection(hub.write(tagBuild('a', 1)))) as HubError;
    expect(paths).toEqual([0, 1].map((n) => `/kojihub?session-id=7&session-key=${KEY}&callnum=${n}`));
    expect(error.message).toContain('redirects to /kojihub');
    expect(`${error.stack} ${JSON.stringify(error.cause)}`).not.toMatch(/topsecret/);
  });

  test('noauth can read, not write', async () => {
    const [hub, stub] = await start(() => null, { authtype: 'noauth' });
    expect(await hub.read(getBuild(1))).toBeNull();
    expect(await rejection(hub.write(tagBuild('a', 1)))).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('set authtype'),
    });
    expect(trace(stub)).toEqual(['getBuild']);
  });

  test('files of a certificate that is not logged in with are left alone', async () => {
    const [hub] = await start(() => 7, { cert: '/no/such/client.crt', key: '/no/such.key' });
    expect(await hub.write(tagBuild('a', 1))).toBe(7);
  });

  test('password without a password is told at once', () => {
    expect(() =>
      connectHub({ server: 'http://hub.invalid/', authtype: 'password', user: 'u', timeout: 1 }),
    ).toThrow('needs user and password');
  });
});

test('no secret reaches the log, whatever goes wrong', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
  const stub = await startStub((call) => {
    if (call.method === 'login') return { 'session-id': 1, 'session-key': KEY };
    if (call.method === 'logout') throw new Fault(1000, 'no');
    return call.method === 'tagBuild' ? lose(call) : true;
  });
  const account = { authtype: 'password', user: 'kmod-gate', password: 'hunter2' } as const;
  const hub = connectHub({ server: stub.server, ...account, timeout: 5000, log });
  cleanups.push(stub.close);
  await hub.write(hasPerm('tag'));
  await rejection(hub.write(tagBuild('a', 1)));
  await rejection(hub.write(hasPerm('tag')));
  await hub.close();
  expect(lines.length).toBeGreaterThan(2);
  expect(lines.join('')).not.toMatch(/topsecret|hunter2/);
});

describe('close', () => {
  test('aborts what is under way, and logs out', async () => {
    const [hub, stub] = await start(({ method, response }) => {
      if (method === 'getTaskInfo') response.flushHeaders();
      return 1;
    });
    await hub.write(tagBuild('a', 1));
    const pending = rejection(hub.write(getTaskInfo(1)));
    await expect.poll(() => stub.calls.length).toBe(3);
    await hub.close();
    expect(await pending).toMatchObject({
      kind: 'unknown',
      message: expect.stringContaining('the client is closed'),
    });
    expect(trace(stub)).toEqual(['login', 'tagBuild 1/0', 'getTaskInfo 1/1', 'logout 1/']);
    expect(await rejection(hub.write(tagBuild('a', 1)))).toMatchObject({ kind: 'unavailable' });
  });

  test('without a session asks nothing', async () => {
    const [hub, stub] = await start(() => null);
    await hub.close();
    expect(stub.calls).toEqual([]);
  });
});
