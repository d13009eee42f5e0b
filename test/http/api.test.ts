/** The API: what it answers, whom it lets write, and that its description is of these very routes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fastify } from 'fastify';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addApi } from '../../src/http/api.ts';
import { type Machine, type Sources, serveDashboard } from '../../src/http/dashboard.ts';
import { WordError } from '../../src/http/error.ts';
import { type Access, createGuard } from '../../src/http/guard.ts';
import type { Word } from '../../src/http/routes.ts';
import { lineFor, newToken, openKeyring } from '../../src/http/tokens.ts';
import { validatorOf } from './description.ts';
import { exampleMachine, exampleSources } from './example.ts';

const NOW = Date.now();
const ADA = newToken();
const GRACE = newToken();
const READER = newToken();

const open: (() => unknown)[] = [];
let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  file = join(folder, 'tokens');
  const lines = [
    lineFor(ADA, { name: 'ada', right: 'write' }),
    lineFor(GRACE, { name: 'grace', right: 'write' }),
    lineFor(READER, { name: 'monitor', right: 'read' }),
  ];
  writeFileSync(file, lines.join(''), { mode: 0o600 });
});
afterEach(async () => {
  for (const close of open.splice(0)) await close();
  rmSync(folder, { recursive: true, force: true });
});

interface Served {
  /** Sources in place of the example's. */
  readonly sources?: Partial<Sources>;
  readonly say?: Machine['say'];
  readonly access?: Partial<Access>;
  readonly withoutTokens?: true;
}

async function serve({ sources = {}, say, access = {}, withoutTokens }: Served = {}) {
  const logged: string[] = [];
  const said: (Word & { by: string })[] = [];
  const log = pino({}, { write: (line) => logged.push(line) });
  const clock = { now: 0 };
  const keyring = withoutTokens ? {} : { keyring: openKeyring(file, log) };
  const machine: Machine = {
    ...exampleMachine((word, by) => said.push({ ...word, by })),
    ...(say && { say }),
    access: { closed: false, now: () => clock.now, ...keyring, ...access },
  };
  const listen = { host: '127.0.0.1', port: 0 };
  const dashboard = await serveDashboard(listen, exampleSources(NOW, sources), log, machine);
  open.push(dashboard.close);
  const { url } = dashboard;
  const get = (path: string, headers: Record<string, string> = {}) => fetch(`${url}${path}`, { headers });
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${url}/api/v1${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  return { url, logged, said, clock, get, post };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const HOLD = { kernel: 'kernel-6.12.0-141.el10', reason: 'QA looks first' };

describe('reading', () => {
  test('each route answers what the sources gave, as its description says', async () => {
    const { get } = await serve();
    const sources = exampleSources(NOW);
    const check = validatorOf((await (await get('/api/v1/openapi.json')).json()) as never);
    const answers: [string, string, unknown][] = [
      ['/api/v1/runs', '/api/v1/runs', await sources.runs({ limit: 9 })],
      ['/api/v1/kernels/4711', '/api/v1/kernels/{subject}', await sources.explain('4711')],
      ['/api/v1/kernels/4720', '/api/v1/kernels/{subject}', await sources.explain('4720')],
      ['/api/v1/kernels/4730', '/api/v1/kernels/{subject}', await sources.explain('4730')],
      ['/api/v1/kmods/kmod-jool', '/api/v1/kmods/{name}', await sources.kmod('kmod-jool')],
      ['/api/v1/waivers', '/api/v1/waivers', { waivers: await sources.waivers() }],
      ['/api/v1/gates', '/api/v1/gates', { gates: exampleMachine().gateReports }],
      ['/api/v1/health', '/api/v1/health', { ok: true, ...sources.health() }],
    ];
    for (const [path, route, expected] of answers) {
      const response = await get(path);
      const answer = await response.json();
      expect(response.status).toBe(200);
      expect(answer).toEqual(expected);
      expect(check('get', route, 200, answer)).toBe('fits');
    }
    for (const path of ['/api/v1/kernels/kernel-9-9', '/api/v1/kmods/kmod-none']) {
      const response = await get(path);
      expect(response.status).toBe(404);
      expect(check('get', '/api/v1/waivers', 500, await response.json())).toBe('fits');
    }
    expect(check('get', '/api/v1/runs', 200, { runs: [{ run: 'x' }], older: null })).toMatch(/required/);
  });

  test('runs come by page and by what is asked of them', async () => {
    const wanted: unknown[] = [];
    const { get } = await serve({
      sources: {
        async runs(page) {
          wanted.push(page);
          return page.before === 'none' ? undefined : { runs: [], older: null };
        },
      },
    });
    await get('/api/v1/runs');
    await get('/api/v1/runs?limit=3&before=el10/4711/1&gate=el10&verdict=none&kmod=kmod-*&since=17&until=18');
    expect(wanted).toEqual([
      { limit: 50 },
      {
        ...{ limit: 3, before: 'el10/4711/1', gate: 'el10', verdict: 'none', kmod: 'kmod-*' },
        ...{ since: 17, until: 18 },
      },
    ]);
    const response = await get('/api/v1/runs?before=none');
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ error: 'There is no run none here.' });
  });

  test.each([
    ['limit=0', 'limit: expected a whole number from 1 to 200'],
    ['limit=201', 'limit: expected a whole number from 1 to 200'],
    ['limit=many', 'limit: expected a whole number from 1 to 200'],
    ['verdict=maybe', 'verdict: Invalid option: expected one of "promote"|"block"|"hold"|"none"'],
    ['before=', 'before: '],
    ['kmood=x', 'kmood: unknown; known here: limit, before, gate, verdict, kmod, since, until'],
  ])('runs?%s is a mistake of the request', async (query, error) => {
    const { get } = await serve();
    const response = await get(`/api/v1/runs?${query}`);
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: string }).error).toContain(error);
  });

  test('the routes of before are gone', async () => {
    const { get } = await serve();
    for (const path of ['/api/runs', '/api/kernel/4711', '/api/waivers', '/api/v1/none'])
      expect((await get(path)).status).toBe(404);
  });

  test('trouble is logged, and not told', async () => {
    const { get, logged } = await serve({
      sources: {
        async waivers() {
          throw new Error('no such table: waiver');
        },
      },
    });
    const response = await get('/api/v1/waivers');
    expect(response.status).toBe(500);
    expect(await response.text()).toBe(
      '{"error":"The dashboard could not answer; the log of kmod-gate says why."}',
    );
    expect(logged.join('')).toContain('no such table: waiver');
  });
});

describe('the description', () => {
  test('has each route, and no other', async () => {
    const app = fastify();
    open.push(() => app.close());
    const routes: string[] = [];
    app.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat()) if (one !== 'HEAD') routes.push(`${one} ${url}`);
    });
    const log = pino({ level: 'silent' });
    const guard = createGuard({ closed: false }, log);
    const sources = { ...exampleSources(NOW), ...exampleMachine() };
    addApi(app, { sources, guard, headers: {}, version: '1.2.3', log });
    await app.ready();
    const response = await app.inject('/api/v1/openapi.json');
    const { openapi, info, paths } = response.json();
    expect(openapi).toBe('3.1.0');
    expect(info.version).toBe('1.2.3');
    const described = Object.entries<object>(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
    );
    expect(described.toSorted()).toEqual(routes.toSorted());
    expect(described.length).toBe(13);
    const text: string = response.body;
    for (const [, name = ''] of text.matchAll(/"\$ref":"([^"]*)"/g))
      expect(response.json().components.schemas).toHaveProperty(name.replace('#/components/schemas/', ''));
    const ids = [...text.matchAll(/"operationId":"(\w+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(13);
    // What zod says beside JSON Schema has no place there.
    expect(text).not.toMatch(/"(\$id|\$schema|~standard)"/);
  });

  test('tells what a request may hold, as the routes take it', async () => {
    const { get, post } = await serve();
    const check = validatorOf((await (await get('/api/v1/openapi.json')).json()) as never);
    const bodies: [string, unknown, boolean][] = [
      ['/waive', { kernel: 'next', kmod: 'kmod-*', reason: 'so', until: '7d', gate: 'el10' }, true],
      ['/waive', { kernel: 'next', kmod: 'kmod-*' }, false],
      ['/waive', { kernel: 'next', kmod: 'kmod-*', reason: 'so', by: 'somebody else' }, false],
      ['/unwaive', { id: 2 }, true],
      ['/unwaive', { id: '2' }, false],
      ['/retry', { ...HOLD, kmod: 'kmod-jool' }, true],
      ['/hold', { ...HOLD, kmod: 'kmod-jool' }, false],
      ['/hold', HOLD, true],
      ['/release', { kernel: '4711' }, true],
      ['/cancel', {}, false],
      ['/cancel', { kernel: '4711', gate: 'el10' }, true],
      ['/cancel', [], false],
    ];
    for (const [path, body, right] of bodies) {
      const response = await post(path, body, bearer(ADA));
      expect([path, body, response.status]).toEqual([path, body, right ? 200 : 400]);
      expect([path, body, check('post', `/api/v1${path}`, 'body', body) === 'fits']).toEqual([
        path,
        body,
        right,
      ]);
      const answer = await response.json();
      expect(check('post', `/api/v1${path}`, response.status, answer)).toBe('fits');
    }
  });
});

describe('writing', () => {
  test('is said by the person whose token it is, and is in the log', async () => {
    const { post, said, logged } = await serve();
    const response = await post('/hold', HOLD, bearer(ADA));
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      said: ['hold is said'],
      runs: [{ run: 'el10/4711/1', gate: 'el10', build: 4711, nvr: 'kernel-6.12.0-141.el10' }],
    });
    await post('/unwaive', { id: 2 }, bearer(GRACE));
    expect(said).toEqual([
      { kind: 'hold', ...HOLD, by: 'ada (API)' },
      { kind: 'unwaive', id: 2, by: 'grace (API)' },
    ]);
    expect(logged.map((line) => JSON.parse(line))).toMatchObject([
      { level: 30, person: 'ada', ip: '127.0.0.1', route: '/hold', msg: 'ada by the API: hold is said' },
      { person: 'grace', route: '/unwaive' },
    ]);
  });

  test.each(['/waive', '/unwaive', '/retry', '/hold', '/release', '/cancel'])(
    '%s: without a token, with a wrong one, or one for reading, nothing is said',
    async (path) => {
      const { post, said } = await serve();
      const none = await post(path, HOLD);
      expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="kmod-gate"']);
      for (const wrong of [newToken(), ADA.slice(0, -1), `${ADA}x`, ADA.toLowerCase(), 'x']) {
        const response = await post(path, HOLD, bearer(wrong));
        expect(response.status).toBe(401);
        expect(await response.text()).not.toContain(wrong.length > 1 ? wrong : 'Bearer');
      }
      const reader = await post(path, HOLD, bearer(READER));
      expect(reader.status).toBe(403);
      expect(await reader.json()).toEqual({ error: 'The token of monitor is for reading alone.' });
      // As a browser sends by itself what somebody has typed once.
      const basic = { authorization: `Basic ${Buffer.from(`ada:${ADA}`).toString('base64')}` };
      expect((await post(path, HOLD, basic)).status).toBe(401);
      expect((await post(`${path}?token=${ADA}`, HOLD, { cookie: `token=${ADA}` })).status).toBe(401);
      expect(said).toEqual([]);
    },
  );

  test('what cannot be meant is told with the field that it is about', async () => {
    const { post, logged } = await serve({
      async say() {
        throw new WordError('gate el9: no such gate, only el10', 'gate');
      },
    });
    const response = await post('/hold', { ...HOLD, gate: 'el9' }, bearer(ADA));
    expect(response.status).toBe(422);
    expect(await response.json()).toEqual({ error: 'gate el9: no such gate, only el10', field: 'gate' });
    expect(logged.join('')).toContain('"msg":"ada by the API: refused"');
  });

  test('nobody writes where there are no tokens', async () => {
    const { post } = await serve({ withoutTokens: true });
    const response = await post('/hold', HOLD, bearer(ADA));
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('its configuration names no tokens in [http]');
  });

  test('a token that is taken out of the file, or a file that breaks, keeps its holder out at once', async () => {
    const { post, said } = await serve();
    writeFileSync(file, lineFor(GRACE, { name: 'grace', right: 'write' }));
    expect((await post('/hold', HOLD, bearer(ADA))).status).toBe(401);
    expect((await post('/hold', HOLD, bearer(GRACE))).status).toBe(200);
    writeFileSync(file, 'nonsense');
    const broken = await post('/hold', HOLD, bearer(GRACE));
    expect(broken.status).toBe(503);
    expect(await broken.text()).not.toContain(file);
    expect(said).toHaveLength(1);
  });

  test.each([
    ['another site, by its browser', { 'sec-fetch-site': 'cross-site' }],
    ['a neighbour, by its browser', { 'sec-fetch-site': 'same-site' }],
    ['another origin', { origin: 'https://evil.example.org' }],
    ['no origin at all', { origin: 'null' }],
  ])('%s cannot speak, whatever token it has', async (_, headers) => {
    const { post, said } = await serve();
    expect((await post('/hold', HOLD, { ...bearer(ADA), ...headers })).status).toBe(403);
    expect(said).toEqual([]);
  });

  test('this very origin may', async () => {
    const { url, post } = await serve();
    const headers = { ...bearer(ADA), origin: url, 'sec-fetch-site': 'same-origin' };
    expect((await post('/hold', HOLD, headers)).status).toBe(200);
    expect((await post('/hold', HOLD, { ...bearer(ADA), 'sec-fetch-site': 'none' })).status).toBe(200);
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
  ])('what a form can send is not read: %s', async (type) => {
    const { post, said } = await serve();
    const response = await post('/hold', HOLD, { ...bearer(ADA), 'content-type': type });
    expect(response.status).toBe(415);
    expect(said).toEqual([]);
  });

  test('nobody is told that pages of other sites may ask', async () => {
    const { url } = await serve();
    const headers = { origin: 'https://evil.example.org', 'access-control-request-method': 'POST' };
    const response = await fetch(`${url}/api/v1/hold`, { method: 'OPTIONS', headers });
    expect(response.status).toBe(404);
    for (const name of response.headers.keys()) expect(name).not.toMatch(/^access-control/);
    expect((await fetch(`${url}/api/v1/hold`)).status).toBe(404);
  });

  test('no JSON, and too much of it, are mistakes of the request', async () => {
    const { post, said } = await serve();
    expect((await post('/hold', '{', bearer(ADA))).status).toBe(400);
    expect((await post('/hold', { ...HOLD, reason: 'x'.repeat(2_001) }, bearer(ADA))).status).toBe(400);
    expect((await post('/hold', { ...HOLD, reason: 'x'.repeat(20_000) }, bearer(ADA))).status).toBe(413);
    expect((await post('/hold', '{"__proto__": {"kernel": "x"}}', bearer(ADA))).status).toBe(400);
    expect(said).toEqual([]);
  });

  test('who has no token is told before a body is read', async () => {
    const { url } = await serve();
    const status = await new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': '1000' };
      const half = request(`${url}/api/v1/hold`, { method: 'POST', headers }, (response) => {
        resolve(response.statusCode);
        half.destroy();
      });
      half.on('error', reject);
      half.write('{');
    });
    expect(status).toBe(401);
  });
});

describe('how often', () => {
  test('each token may write so often, and then waits; others go on', async () => {
    const { post, said, clock } = await serve();
    for (let i = 0; i < 30; i++) expect((await post('/hold', HOLD, bearer(ADA))).status).toBe(200);
    const response = await post('/hold', HOLD, bearer(ADA));
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '2']);
    expect(await response.json()).toEqual({ error: 'ada asks too often; try again when Retry-After says.' });
    expect((await post('/hold', HOLD, bearer(GRACE))).status).toBe(200);
    clock.now += 2_000;
    expect((await post('/hold', HOLD, bearer(ADA))).status).toBe(200);
    expect((await post('/hold', HOLD, bearer(ADA))).status).toBe(429);
    expect(said).toHaveLength(32);
  });

  test('from an address tokens may be wrong so often; a right one is let in all the same', async () => {
    const { post, logged, clock } = await serve();
    for (let i = 0; i < 10; i++) expect((await post('/hold', HOLD, bearer(newToken()))).status).toBe(401);
    for (let i = 0; i < 5; i++) {
      const response = await post('/hold', HOLD, bearer(newToken()));
      expect([response.status, response.headers.get('retry-after')]).toEqual([429, '30']);
    }
    // Nobody fills the log by it.
    expect(logged.filter((line) => line.includes('a token that nobody has'))).toHaveLength(10);
    expect((await post('/hold', HOLD, bearer(ADA))).status).toBe(200);
    clock.now += 30_000;
    expect((await post('/hold', HOLD, bearer(newToken()))).status).toBe(401);
    expect((await post('/hold', HOLD, bearer(newToken()))).status).toBe(429);
  });
});

describe('where reading needs a token', () => {
  const closed = { access: { closed: true } };
  const basic = (user: string, token: string) => ({
    authorization: `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`,
  });

  test.each([
    '/',
    '/kernel/4711',
    '/waivers',
    '/none',
    '/api/v1/runs',
    '/api/v1/openapi.json',
    '/api/none',
    '/metrics',
  ])('%s is for who has one', async (path) => {
    const { get } = await serve(closed);
    const before = await (await serve()).get(path);
    const none = await get(path);
    expect(none.status).toBe(401);
    const scheme = path.startsWith('/api/') ? 'Bearer' : 'Basic';
    expect(none.headers.get('www-authenticate')).toBe(`${scheme} realm="kmod-gate"`);
    expect(none.headers.get('cache-control')).toBe('no-store');
    expect(await none.text()).not.toContain('kernel-6');
    expect((await get(path, bearer(newToken()))).status).toBe(401);
    expect((await get(path, basic('ada', 'wrong'))).status).toBe(401);
    for (const login of [bearer(READER), bearer(ADA), basic('', READER), basic('anybody', ADA)])
      expect((await get(path, login)).status).toBe(before.status);
  });

  test('whether the gate works anybody may know, and no more', async () => {
    const { get } = await serve(closed);
    expect(await (await get('/healthz')).json()).toEqual({ ok: true });
    expect(await (await (await serve()).get('/healthz')).json()).toHaveProperty('started_at');
    expect((await get('/healthz/../waivers')).status).toBe(401);
    expect((await get('/healthz?x')).status).toBe(200);
    expect((await get('/healthz%3f/../../waivers')).status).toBe(401);
  });

  test('writing wants its own', async () => {
    const { post, said } = await serve(closed);
    expect((await post('/hold', HOLD)).status).toBe(401);
    expect((await post('/hold', HOLD, basic('ada', ADA))).status).toBe(401);
    expect((await post('/hold', HOLD, bearer(READER))).status).toBe(403);
    expect((await post('/hold', HOLD, bearer(ADA))).status).toBe(200);
    expect(said).toHaveLength(1);
  });
});

test('no token is ever in an answer or in the log', async () => {
  const fail = async () => {
    throw new Error('trouble');
  };
  const all = [await serve(), await serve({ say: fail, sources: { waivers: fail } })];
  const planted = [ADA, newToken()];
  for (const { get, post, logged } of all) {
    const answers: string[] = [];
    const keep = async (response: Response) => {
      answers.push(JSON.stringify([...response.headers]), await response.text());
    };
    for (const token of planted) {
      for (const path of ['/', '/api/v1/waivers', '/api/v1/openapi.json', '/none', '/kernel/%zz'])
        await keep(await get(path, bearer(token)));
      for (const body of [HOLD, '{', { nonsense: true }])
        await keep(await post('/hold', body, bearer(token)));
      await keep(await post('/hold', HOLD, { authorization: `Token ${token}` }));
      await keep(await post('/hold', HOLD, { ...bearer(token), origin: 'null' }));
    }
    expect(logged.length).toBeGreaterThan(0);
    for (const token of planted)
      for (const text of [...answers, ...logged]) expect(text).not.toContain(token.slice(4));
  }
});

test.each(['/api/v1/runs', '/api/v1/openapi.json', '/api/v1/none'])(
  '%s comes with strict headers',
  async (path) => {
    const { headers } = await (await serve()).get(path);
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'none';.* frame-ancestors 'none'/);
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
  },
);
