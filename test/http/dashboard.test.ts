import { once } from 'node:events';
import { connect } from 'node:net';
import { pino } from 'pino';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Sources, serveDashboard } from '../../src/http/dashboard.ts';
import { type Explanation, lineOf } from '../../src/report/report.ts';
import { exampleSources } from './example.ts';

const NOW = Date.now();
const HOST = '127.0.0.1';
const HOSTILE = `kernel-1-1"><script>alert('x')</script>`;

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const dashboard of open.splice(0)) await dashboard.close();
});

async function serve(other: Partial<Sources> = {}) {
  const logged: string[] = [];
  const log = pino({}, { write: (line) => logged.push(line) });
  const dashboard = await serveDashboard({ host: HOST, port: 0 }, exampleSources(NOW, other), log);
  open.push(dashboard);
  return { ...dashboard, logged, get: (path: string) => fetch(`${dashboard.url}${path}`) };
}

async function pageOf(path: string, other: Partial<Sources> = {}): Promise<string> {
  const response = await (await serve(other)).get(path);
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  return response.text();
}

/** The table row or list item of a page that holds a text, without its tags. */
function rowWith(page: string, text: string): string {
  const row = page.split(/(?=<tr|<li)|(?<=<\/tr>|<\/li>)/).find((part) => part.includes(text));
  return (row ?? 'no such row')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

describe('the list of runs', () => {
  test('shows each run in a row, with a link to the kernel by its build id', async () => {
    const page = await pageOf('/');
    expect(rowWith(page, '/kernel/4711')).toBe(
      'kernel-6.12.0-141.el10 el10 block done 1 broken 1 inconclusive 10 ok ' +
        'blocked: moved from kernels-el10-gate to kernels-el10-blocked 1 h 35 min ago',
    );
    expect(rowWith(page, '/kernel/4720')).toContain(
      'running 3 building 2 waiting 7 ok waits for 5 scratch builds',
    );
  });

  test('counts what is waived as such, and what is to be rebuilt', async () => {
    expect(rowWith(await pageOf('/'), '/kernel/4730')).toContain(
      'held 1 broken 1 unattributed 2 inconclusive 1 waived 1 already-broken 6 ok (1 to rebuild) held by grace',
    );
  });

  test('tells of a hold while the kmods are still tried', async () => {
    const [, running] = (await exampleSources(NOW).runs({ limit: 9 }))?.runs ?? [];
    if (!running) throw new Error('the example has no run that goes on');
    const held_by = { by: 'grace', at: NOW, reason: '' };
    const page = await pageOf('/', {
      runs: async () => ({ runs: [{ ...running, held_by }], older: null }),
    });
    expect(rowWith(page, '/kernel/4720')).toContain('waits for 5 scratch builds held by grace');
  });

  test('says how many kmods there are where no verdict has counted them yet', async () => {
    const [, running] = (await exampleSources(NOW).runs({ limit: 9 }))?.runs ?? [];
    if (!running) throw new Error('the example has no run that goes on');
    const page = await pageOf('/', {
      runs: async () => ({ runs: [{ ...running, outcomes: {} }], older: null }),
    });
    expect(rowWith(page, '/kernel/4720')).toContain('running 12 kmods waits for 5');
  });

  test('comes by page: each names the next one, and the first alone loads itself again', async () => {
    const wanted: unknown[] = [];
    const runs: Sources['runs'] = async (page) => {
      wanted.push(page);
      const found = await exampleSources(NOW).runs(page);
      return { runs: found?.runs ?? [], older: page.before ? null : 'el10/4711/1' };
    };
    const { get } = await serve({ runs });
    const first = await (await get('/')).text();
    expect(first).toContain('<a href="/?before=el10%2F4711%2F1">Older</a>');
    expect(first).not.toContain('>Newest</a>');
    expect(first).toContain('http-equiv="refresh"');
    const second = await (await get('/?before=el10%2F4711%2F1')).text();
    expect(second).toContain('<a href="/">Newest</a>');
    expect(second).not.toContain('>Older</a>');
    expect(second).not.toContain('http-equiv="refresh"');
    expect(await (await get('/api/runs?limit=3')).json()).toMatchObject({ older: 'el10/4711/1' });
    expect(wanted).toEqual([{ limit: 50 }, { limit: 50, before: 'el10/4711/1' }, { limit: 3 }]);
  });

  test('after a run that is not there is not found; so many that it would be no page is a wrong request', async () => {
    const { get } = await serve({ runs: async () => undefined });
    const response = await get('/?before=el10%2F1%2F%3Cb%3E');
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('There is no run el10/1/&lt;b&gt; here.');
    expect((await get('/api/runs?before=x')).status).toBe(404);
    for (const query of ['limit=0', 'limit=201', 'limit=many', 'before='])
      expect((await get(`/api/runs?${query}`)).status).toBe(400);
  });

  test('says so when there is none', async () => {
    expect(await pageOf('/', { runs: async () => ({ runs: [], older: null }) })).toContain(
      'No kernel has stood before a gate yet.',
    );
  });

  test('tells how look and bus are', async () => {
    expect(await pageOf('/')).toMatch(
      /last look at the hub \d+ s ago; bus connected for 3 h 20 min, 1274 received/,
    );
    const bus = {
      connected: false,
      since: NOW - 120_000,
      received: 0,
      undecodable: 0,
      lastError: 'refused <here>',
    };
    const lost = await pageOf('/', {
      health: () => ({ started_at: NOW, looked_at: null, trouble: null, bus }),
    });
    expect(lost).toContain('bus not connected for 2 min</span> refused &lt;here&gt;');
    const none = await pageOf('/', {
      health: () => ({ started_at: NOW, looked_at: NOW, trouble: null, bus: null }),
    });
    expect(none).toContain('no bus: kernels are found by sweeps');
  });
});

describe('the page of a kernel', () => {
  test('is found by NVR and by build id', async () => {
    const { get } = await serve();
    for (const subject of ['4711', 'kernel-6.12.0-141.el10'])
      expect(await (await get(`/kernel/${subject}`)).text()).toContain('<h1>kernel-6.12.0-141.el10</h1>');
  });

  test('shows reasons, kmods with cause, tasks and errors, tag changes and history', async () => {
    const page = await pageOf('/kernel/4711');
    expect(rowWith(page, '10 of 12 kmods')).toBe('10 of 12 kmods build against kernel-6.12.0-141.el10');
    expect(rowWith(page, 'taskID=9118')).toContain(
      'advisory inconclusive wrong kernel tested the wrong kernel on aarch64',
    );
    expect(page).toContain('<a href="https://koji.example.org/koji/taskinfo?taskID=9117">9117</a>');
    expect(page).toContain('<a href="https://koji.example.org/koji/buildinfo?buildID=4711">');
    expect(rowWith(page, 'xlator.c:88')).toMatch(
      /^x86_64 src.*xlator.c:88: &#39;struct net&#39; has no member/,
    );
    expect(rowWith(page, 'taskID=9150')).toMatch(/^move kernel-6.12.0-141.el10 from .* done 9150/);
    expect(rowWith(page, 'kernel-6.12.0-141.el10 is complete')).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/,
    );
  });

  test('shows what changed in the source, which kmods that hits and how they reach it, or why that cannot be told', async () => {
    const page = await pageOf('/kernel/4711');
    expect(page).toContain("What changed in the kernel's source since kernel-6.12.0-140.el10 (x86_64)");
    expect(rowWith(page, 'struct genl_ops')).toBe(
      'struct genl_ops + int (*pre_doit)(const struct genl_split_ops *) u8 flags → unsigned long flags (72 bytes, was 64) kmod-jool 14',
    );
    expect(rowWith(page, 'function genlmsg_put')).toMatch(/kmod-jool 1, and 3 that did not change$/);
    expect(page).toContain('genl_register_family → genl_family.ops → struct genl_ops');
    expect(page).toContain('and 12 more, in the JSON');
    expect(page).toContain('void *genlmsg_put(struct sk_buff *, u32)</code> → <code>void *genlmsg_put(');
    expect(page).toContain('<li>genetlink: split ops (Bob) [RHEL-3]</li>');
    expect(page).toContain('It cannot be told: HTTP 404 &lt;packages&gt;');
    // Nobody has looked at this one.
    expect(await pageOf('/kernel/4720')).not.toContain('What changed in the kernel');
  });

  test('shows whose failure it is, who waived it, what is to be rebuilt and what was broken before', async () => {
    const page = await pageOf('/kernel/4730');
    const cells = (nvr: string) => rowWith(page.slice(page.indexOf('<h3>Kmods')), nvr);
    expect(cells('kmod-jool')).toMatch(
      /^kmod-jool-4.1.14-2.el10 broken waived kmod does not build .* waived by ada until 2026-12-01 00:00 UTC: the vendor ships/,
    );
    expect(cells('kmod-nvidia')).toMatch(/^\S+ inconclusive builder trouble in the build system/);
    expect(cells('kmod-lttng')).toMatch(/^\S+ broken dependency its build dependencies/);
    expect(cells('kmod-bbswitch')).toMatch(/^\S+ ok to rebuild needs a rebuild/);
    expect(cells('kmod-drbd')).toMatch(/^\S+ already-broken kmod does not build/);
    expect(page).toContain('baseline kernel-6.12.0-140.el10');
    expect(page).toContain('unattributed: it fails, and nothing shows whether it did so before this kernel');
    expect(page).toContain('already-broken: it fails with kernel-6.12.0-140.el10 too');
    expect(await pageOf('/kernel/4711')).not.toMatch(/unattributed|already-broken|waived/);
  });

  test('shows what was built anew for the kernel', async () => {
    const page = await pageOf('/kernel/4730');
    const rebuilt = page.slice(page.indexOf('<h3>Rebuilt'));
    expect(rowWith(rebuilt, 'kmod-bbswitch')).toBe('kmod-bbswitch-0.8-9.1.el10 kmods10 done 9301');
    expect(rowWith(rebuilt, 'kmod-zfs')).toBe('kmod-zfs kmods10 asked');
    expect(await pageOf('/kernel/4711')).not.toContain('<h3>Rebuilt');
  });

  test('says who holds it, and what ends that', async () => {
    const page = await pageOf('/kernel/4730');
    expect(page).toMatch(/Held by <b>grace<\/b> since .*: QA looks at it first/);
    expect(page).toContain('<code>kmod-gate release kernel-6.12.0-143.el10</code> ends it.');
    expect(page.match(/QA looks at it first/g)).toHaveLength(1);
    expect(await pageOf('/kernel/4711')).not.toContain('kmod-gate release');
  });

  test('a run that began before any kernel had passed has no baseline', async () => {
    const seen = await exampleSources(NOW).explain('4711');
    if (!seen) throw new Error('the example has no run of 4711');
    const runs = seen.runs.map((run) => ({ ...run, baseline: null }));
    expect(await pageOf('/kernel/4711', { explain: async () => ({ ...seen, runs }) })).toContain(
      'no baseline: no kernel had passed',
    );
  });

  test('spells out in its history only verdicts that are not shown above', async () => {
    const seen = await exampleSources(NOW).explain('4711');
    const [run] = seen?.runs ?? [];
    if (!seen || !run) throw new Error('the example has no run of 4711');
    const older = {
      at: NOW,
      kind: 'verdict',
      gate: 'el10',
      build: 4711,
      nvr: run.nvr,
      run: run.run,
    } as const;
    const journal = [{ ...older, text: 'verdict hold: kmod-old: no repo' }, ...seen.journal];
    const page = await pageOf('/kernel/4711', { explain: async () => ({ ...seen, journal }) });
    const history = page.slice(page.indexOf('<h2>History'));
    expect(rowWith(history, 'verdict hold')).toMatch(/el10 verdict hold: kmod-old: no repo$/);
    expect(rowWith(history, 'verdict block')).toMatch(/el10 verdict block$/);
  });

  test('puts what is broken before what is fine', async () => {
    const page = await pageOf('/kernel/4711');
    const at = (nvr: string) => page.indexOf(`scope="row"><b class="tight">${nvr}`);
    expect(at('kmod-jool')).toBeGreaterThan(0);
    expect(at('kmod-jool')).toBeLessThan(at('kmod-vendor-reset'));
    expect(at('kmod-vendor-reset')).toBeLessThan(at('kmod-acpi-call'));
  });

  test('loads itself again only while a run goes on', async () => {
    expect(await pageOf('/kernel/4720')).toContain('http-equiv="refresh" content="10"');
    expect(await pageOf('/kernel/4711')).not.toContain('http-equiv="refresh"');
  });

  test('is not made again for a reader who has it as it is', async () => {
    // Its times are minutes old at the most.
    vi.useFakeTimers({ toFake: ['Date'], now: NOW });
    const explained: string[] = [];
    let revision = 'one';
    const { url } = await serve({
      revision: async () => revision,
      explain: async (subject) => {
        explained.push(revision);
        return exampleSources(NOW).explain(subject);
      },
    });
    const ask = async (etag?: string) => {
      const response = await fetch(`${url}/kernel/4720`, { headers: etag ? { 'if-none-match': etag } : {} });
      return {
        status: response.status,
        etag: response.headers.get('etag') ?? '',
        text: await response.text(),
      };
    };
    const first = await ask();
    expect(first).toMatchObject({ status: 200, text: expect.stringContaining('kernel-6.12.0-142.el10') });
    expect(await ask(first.etag)).toMatchObject({ status: 304, text: '' });
    revision = 'two';
    const second = await ask(first.etag);
    expect(second.status).toBe(200);
    vi.setSystemTime(NOW + 60_000);
    expect((await ask(second.etag)).status).toBe(200);
    expect(explained).toEqual(['one', 'two', 'two']);
  });

  test('of a kernel that never stood before a gate', async () => {
    const seen: Explanation = { build: 5, nvr: 'kernel-1-1', runs: [], journal: [] };
    expect(await pageOf('/kernel/5', { explain: async () => seen })).toContain(
      'It has not stood before a gate.',
    );
  });
});

describe('the page of waivers', () => {
  test('lists who waived what until when and why, those that hold first', async () => {
    const page = await pageOf('/waivers');
    expect(rowWith(page, 'kmod-jool')).toMatch(
      /^kmod-jool 2 holds kernel-6.12.0-14\?.el10 any ada \S+ \S+ UTC \S+ \S+ UTC the vendor ships .* &lt;https:/,
    );
    expect(rowWith(page, 'by mistake')).toMatch(
      /^kmod-\* 3 ended the next one el10 grace \S+ \S+ UTC \S+ \S+ UTC ended by ada by mistake$/,
    );
    expect(rowWith(page, 'as agreed')).toMatch(/^stablelist 1 expired kernel-6.12.0-9\* el10 ada/);
    expect(page.indexOf('kmod-jool')).toBeLessThan(page.indexOf('by mistake'));
    expect(page).toContain('<a href="/waivers">Waivers</a>');
  });

  test('one without an end says so; none at all too', async () => {
    const forever = (await exampleSources(NOW).waivers()).map((waiver) => ({ ...waiver, until: null }));
    expect(rowWith(await pageOf('/waivers', { waivers: async () => forever }), 'kmod-jool')).toContain(
      ' no end ',
    );
    expect(await pageOf('/waivers', { waivers: async () => [] })).toContain(
      'Nobody has waived anything yet.',
    );
  });
});

test('nothing from the outside becomes markup', async () => {
  const sources = exampleSources(NOW);
  const explanation = await sources.explain('4730');
  const [run] = explanation?.runs ?? [];
  if (!explanation || !run) throw new Error('the example has no run of 4730');
  const hostile = JSON.parse(
    // Every text of the report, but the words that come from the gate itself.
    JSON.stringify({ ...explanation, runs: [run] }, (key, value) =>
      typeof value === 'string' && !['outcome', 'verdict', 'status', 'kind', 'whose'].includes(key)
        ? ['url'].includes(key)
          ? 'javascript:alert(1)'
          : HOSTILE
        : value,
    ),
  ) as Explanation;
  const [waiver] = await sources.waivers();
  if (!waiver) throw new Error('the example has no waiver');
  const { get } = await serve({
    runs: async () => ({ runs: hostile.runs.map(lineOf), older: HOSTILE }),
    explain: async () => hostile,
    waivers: async () => [
      {
        ...waiver,
        by: HOSTILE,
        reason: HOSTILE,
        gate: HOSTILE,
        kernel: HOSTILE,
        kmod: HOSTILE,
        ended: { at: 1, by: HOSTILE },
      },
    ],
  });
  for (const path of ['/', '/kernel/4730', '/waivers']) {
    const page = await (await get(path)).text();
    expect(page).toContain('kernel-1-1&quot;&gt;&lt;script&gt;');
    expect(page).not.toMatch(/<script|javascript:/);
  }
});

describe('JSON', () => {
  test('is safe to read on a terminal, and still what the sources gave', async () => {
    const example = await exampleSources(NOW).explain('4711');
    if (!example) throw new Error('no such kernel');
    const hostile = { ...example, nvr: '\u009b2J\u202e\u007f\u2028' };
    const { get } = await serve({ explain: async () => hostile });
    const text = await (await get('/api/kernel/4711')).text();
    expect(text).toContain('\\u009b2J\\u202e\\u007f\\u2028');
    expect(JSON.parse(text)).toEqual(hostile);
  });
  test('is what the sources gave', async () => {
    const { get } = await serve();
    const sources = exampleSources(NOW);
    expect(await (await get('/api/runs')).json()).toEqual(await sources.runs({ limit: 9 }));
    expect(await (await get('/api/kernel/4711')).json()).toEqual(await sources.explain('4711'));
    expect(await (await get('/api/waivers')).json()).toEqual({ waivers: await sources.waivers() });
  });

  test('healthz is 200 while looks end, with or without a bus', async () => {
    const { get } = await serve({
      health: () => ({ started_at: 1, looked_at: Date.now() - 590_000, trouble: null, bus: null }),
    });
    const response = await get('/healthz');
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ ok: true, started_at: 1, bus: null });
  });

  test.each([
    ['the first look is still due', 590_000, null, 200],
    ['no look ever ended', 610_000, null, 503],
    ['the last look is long ago', 9_000_000, 610_000, 503],
  ])('healthz when %s', async (_, started, looked, status) => {
    const health = () => ({
      started_at: Date.now() - started,
      looked_at: looked === null ? null : Date.now() - looked,
      trouble: null,
      bus: null,
    });
    const response = await (await serve({ health })).get('/healthz');
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ ok: status === 200 });
  });

  test('healthz when the hub does not answer for long', async () => {
    const silent = (since: number) => () => ({
      started_at: 1,
      looked_at: Date.now(),
      trouble: { since: Date.now() - since, reason: 'getBuild: connect ECONNREFUSED' },
      bus: null,
    });
    expect((await (await serve({ health: silent(590_000) })).get('/healthz')).status).toBe(200);
    expect((await (await serve({ health: silent(610_000) })).get('/healthz')).status).toBe(503);
    const page = await (await serve({ health: silent(60_000) })).get('/');
    expect(await page.text()).toContain(
      'the hub does not answer since 1 min: getBuild: connect ECONNREFUSED',
    );
  });
});

describe('refusals', () => {
  test('an unknown kernel or page is 404, in the form of its route', async () => {
    const { get } = await serve();
    for (const path of ['/kernel/kernel-9-9%3Cb%3E', '/nothing<b>']) {
      const response = await get(path);
      const page = await response.text();
      expect(response.status).toBe(404);
      expect(page).toContain('<h1>Not found</h1>');
      expect(page).not.toContain('<b>');
    }
    const response = await get('/api/kernel/kernel-9-9');
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({
      error: 'No kernel build kernel-9-9 was ever seen here. Give an NVR or a Koji build id.',
    });
  });

  test('a malformed or overlong subject is the fault of the request', async () => {
    const { get, logged } = await serve();
    expect((await get('/kernel/%zz')).status).toBe(400);
    const long = await get(`/api/kernel/${'x'.repeat(200)}`);
    expect(long.status).toBe(414);
    expect(await long.json()).toHaveProperty('error');
    expect(logged).toEqual([]);
  });

  test.each(['/', '/kernel/4711', '/waivers', '/api/runs', '/api/kernel/4711', '/api/waivers'])(
    'trouble at %s is logged, not shown',
    async (path) => {
      const fail = async () => {
        throw new Error('no such table: run');
      };
      const { get, logged } = await serve({ runs: fail, explain: fail, waivers: fail });
      const response = await get(path);
      const body = await response.text();
      expect(response.status).toBe(500);
      expect(body).toContain('the log of kmod-gate says why');
      expect(body).not.toMatch(/no such table|\.ts/);
      expect(logged.join('')).toContain('no such table: run');
    },
  );
});

test.each([
  '/',
  '/kernel/4711',
  '/waivers',
  '/nothing',
  '/kernel/%zz',
  '/api/runs',
  '/api/waivers',
  '/api/none',
  '/healthz',
])('%s comes with security headers', async (path) => {
  const { headers } = await (await serve()).get(path);
  expect(headers.get('content-security-policy')).toMatch(
    /^default-src 'none'; style-src 'sha256-[\w+/]+=*';/,
  );
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
});

test('a port in use is an error that says where and what to do', async () => {
  const { url } = await serve();
  const port = Number(new URL(url).port);
  const again = serveDashboard({ host: HOST, port }, exampleSources(NOW), pino({ level: 'silent' }));
  await expect(again).rejects.toThrow(
    `the dashboard cannot listen on 127.0.0.1:${port}: another program listens there; choose another address or port with listen in [http]`,
  );
});

test('half a request does not keep it from closing', async () => {
  const { url, close } = await serve();
  const socket = connect(Number(new URL(url).port), HOST).on('error', () => {});
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nHost:');
  const closed = new Promise((resolve) => socket.on('close', resolve));
  await close();
  await closed;
});
