import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { pino } from 'pino';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Sources, serveDashboard } from '../../src/http/dashboard.ts';
import type { Explanation } from '../../src/report/report.ts';
import { exampleMachine, exampleSources } from './example.ts';
import { hostileSources } from './hostile.ts';

const NOW = Date.now();
const HOST = '127.0.0.1';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const dashboard of open.splice(0)) await dashboard.close();
});

async function serve(other: Partial<Sources> = {}) {
  const logged: string[] = [];
  const log = pino({}, { write: (line) => logged.push(line) });
  const sources = exampleSources(NOW, other);
  const dashboard = await serveDashboard({ host: HOST, port: 0 }, sources, log, exampleMachine());
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
    .replace(/<span aria-hidden="true">.*?<\/span>/g, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

/** The page without the signs that only repeat its words, nor tags. */
const textOf = (page: string): string =>
  page
    .replace(/<(style|script)>.*?<\/\1>/gs, '')
    .replace(/<span aria-hidden="true">.*?<\/span>/g, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');

describe('the first page', () => {
  test('says first what needs somebody: culprit, cause, who must act, and each command', async () => {
    const text = textOf(await pageOf('/'));
    expect(text).toContain('Needs somebody 2 held by a person kernel-6.12.0-143.el10 gate el10');
    expect(text).toContain('grace : QA looks at it first');
    expect(text).toContain('kmod-gate release kernel-6.12.0-143.el10 --gate el10');
    expect(text).toMatch(
      /blocked kernel-6.12.0-141.el10 gate el10, begun 1 h 35 min ago kmod-jool : does not build/,
    );
    expect(text).toContain(
      '(task 9117 ) Changed in the kernel: struct genl_ops Must act: the maintainer of kmod-jool',
    );
    expect(text).toContain('koji move-build kernels-el10-blocked kernels-el10-gate kernel-6.12.0-141.el10');
    expect(text.indexOf('Needs somebody')).toBeLessThan(text.indexOf('Kernels by kmods'));
  });

  test('folds what is more than a few, and says how many are not told', async () => {
    const { needs } = await exampleSources(NOW).needs(9);
    const many = Array.from({ length: 5 }, () => needs[1]).filter((one) => one !== undefined);
    const page = await pageOf('/', { needs: async () => ({ needs: many, more: 4 }) });
    expect(page.match(/<article/g)).toHaveLength(5);
    expect(textOf(page)).toContain(
      '2 more: kmod-jool blocks kernel-6.12.0-141.el10 at gate el10: does not build',
    );
    expect(textOf(page)).toContain('and 4 older');
    const none = await pageOf('/', { needs: async () => ({ needs: [], more: 0 }) });
    expect(textOf(none)).toContain('nobody No kernel is held, and none was blocked since one passed.');
  });

  test('shows kernels by kmods: each cell with a word, what is not fine as a link and first', async () => {
    const whole = await pageOf('/');
    const page = whole.slice(whole.indexOf('<table class="matrix"'));
    const head = page.slice(page.indexOf('<thead>'), page.indexOf('</thead>'));
    expect(textOf(head)).toMatch(
      /Kmod 6.12.0-143.el10 block 50 min ago 6.12.0-142.el10 running 4 min ago 6.12.0-141/,
    );
    expect(rowWith(page, '/kmod/kmod-jool')).toBe('kmod-jool waived waiting broken');
    expect(rowWith(page, '/kmod/kmod-drbd')).toBe('kmod-drbd already broken ok ok');
    expect(page).toContain('<td class="bad"><a href="/kernel/4711#el10%2F4711%2F1%2Fkmod-jool">');
    expect(page).toMatch(/<td class="good"><span aria-hidden="true">✓<\/span> ok<\/td>/);
    expect(page.indexOf('/kmod/kmod-evdi')).toBeLessThan(page.indexOf('/kmod/kmod-acpi-call'));
  });

  test('hands the filters of the address on, and keeps them in its links', async () => {
    const wanted: unknown[] = [];
    const { get } = await serve({
      matrix: async (page) => {
        wanted.push(page);
        const found = await exampleSources(NOW).matrix(page);
        return found && { ...found, older: 'el10/4711/1' };
      },
    });
    const query = 'gate=el10&verdict=block&kmod=kmod-*&since=2026-01-02&until=2026-01-03';
    const page = await (await get(`/?${query}`)).text();
    const at = (day: number) => Date.UTC(2026, 0, day);
    expect(wanted).toEqual([
      { limit: 10, gate: 'el10', verdict: 'block', kmod: 'kmod-*', since: at(2), until: at(4) },
    ]);
    expect(page).toContain(
      'Filter: gate el10, verdict block, kmod kmod-*, since 2026-01-02, until 2026-01-03',
    );
    const escaped = query.replaceAll('&', '&amp;');
    expect(page).toContain(`<a href="/?${escaped}&amp;before=el10%2F4711%2F1">Older kernels</a>`);
    expect(page).toContain(`<a href="/runs?${escaped}">All runs</a>`);
    expect(page).toContain('<option value="block" selected>');
    // What a form leaves empty is no filter.
    await get('/?gate=&verdict=&kmod=&since=&until=');
    expect(wanted[1]).toEqual({ limit: 10 });
    for (const wrong of ['verdict=maybe', 'since=yesterday', 'limit=0', 'limit=201', 'before='])
      expect((await get(`/?${wrong}`)).status).toBe(400);
  });

  test('is made once for all who look, until something is recorded', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: NOW });
    let revision = 'one';
    let made = 0;
    const { get } = await serve({
      revision: async () => revision,
      needs: async () => {
        made += 1;
        return { needs: [], more: 0 };
      },
    });
    const pages = await Promise.all([get('/'), get('/'), get('/')]);
    expect(new Set(await Promise.all(pages.map((page) => page.text()))).size).toBe(1);
    expect(made).toBe(1);
    const etag = pages[0]?.headers.get('etag') ?? '';
    expect(pages[0]?.headers.get('cache-control')).toBe('private, no-cache');
    revision = 'two';
    expect((await get('/')).headers.get('etag')).not.toBe(etag);
    expect(made).toBe(2);
  });

  test('what went wrong is not remembered', async () => {
    let fails = true;
    const { get } = await serve({
      revision: async () => 'one',
      needs: async () => {
        if (fails) throw new Error('busy');
        return { needs: [], more: 0 };
      },
    });
    expect((await get('/')).status).toBe(500);
    fails = false;
    expect((await get('/')).status).toBe(200);
  });
});

describe('the list of runs', () => {
  test('shows each run in a row, with a link to the kernel by its build id', async () => {
    const page = await pageOf('/runs');
    expect(rowWith(page, '/kernel/4711')).toBe(
      'kernel-6.12.0-141.el10 el10 block done 1 broken 1 inconclusive 10 ok ' +
        'blocked: moved from kernels-el10-gate to kernels-el10-blocked 1 h 35 min ago',
    );
    expect(rowWith(page, '/kernel/4720')).toContain(
      'running 3 building 2 waiting 7 ok waits for 5 scratch builds',
    );
  });

  test('counts what is waived as such, and what is to be rebuilt', async () => {
    expect(rowWith(await pageOf('/runs'), '/kernel/4730')).toContain(
      'held 1 broken 1 unattributed 2 inconclusive 1 waived 1 already-broken 6 ok (1 to rebuild) held by grace',
    );
  });

  test('tells of a hold while the kmods are still tried', async () => {
    const [, running] = (await exampleSources(NOW).runs({ limit: 9 }))?.runs ?? [];
    if (!running) throw new Error('the example has no run that goes on');
    const held_by = { by: 'grace', at: NOW, reason: '' };
    const page = await pageOf('/runs', {
      runs: async () => ({ runs: [{ ...running, held_by }], older: null }),
    });
    expect(rowWith(page, '/kernel/4720')).toContain('waits for 5 scratch builds held by grace');
  });

  test('says how many kmods there are where no verdict has counted them yet', async () => {
    const [, running] = (await exampleSources(NOW).runs({ limit: 9 }))?.runs ?? [];
    if (!running) throw new Error('the example has no run that goes on');
    const page = await pageOf('/runs', {
      runs: async () => ({ runs: [{ ...running, outcomes: {} }], older: null }),
    });
    expect(rowWith(page, '/kernel/4720')).toContain('running 12 kmods waits for 5');
  });

  test('comes by page: each names the next one', async () => {
    const wanted: unknown[] = [];
    const runs: Sources['runs'] = async (page) => {
      wanted.push(page);
      const found = await exampleSources(NOW).runs(page);
      return { runs: found?.runs ?? [], older: page.before ? null : 'el10/4711/1' };
    };
    const { get } = await serve({ runs });
    const first = await (await get('/runs')).text();
    expect(first).toContain('<a href="/runs?before=el10%2F4711%2F1">Older runs</a>');
    expect(first).not.toContain('>Newest runs</a>');
    const second = await (await get('/runs?before=el10%2F4711%2F1')).text();
    expect(second).toContain('<a href="/runs">Newest runs</a>');
    expect(second).not.toContain('>Older runs</a>');
    await get('/runs?limit=3&gate=el10');
    expect(wanted).toEqual([{ limit: 12 }, { limit: 12, before: 'el10/4711/1' }, { limit: 3, gate: 'el10' }]);
  });

  test('after a run that is not there is not found; so many that it would be no page is a wrong request', async () => {
    const none = async () => undefined;
    const { get } = await serve({ runs: none, matrix: none });
    for (const path of ['/runs', '/']) {
      const response = await get(`${path}?before=el10%2F1%2F%3Cb%3E`);
      expect(response.status).toBe(404);
      expect(await response.text()).toContain('There is no run el10/1/&lt;b&gt; here.');
    }
    for (const query of ['limit=0', 'limit=201', 'limit=many', 'before='])
      expect((await get(`/runs?${query}`)).status).toBe(400);
  });

  test('says so when there is none', async () => {
    const runs = async () => ({ runs: [], older: null });
    expect(await pageOf('/runs', { runs })).toContain('No kernel has stood before a gate yet.');
    const { get } = await serve({ runs });
    expect(await (await get('/runs?gate=el10')).text()).toContain('No run fits these filters.');
  });
});

describe('the health line', () => {
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
      expect(await (await get(`/kernel/${subject}`)).text()).toContain('<h1>kernel-6.12.0-141.el10 <small>');
  });

  test('shows reasons, kmods with cause, tasks and errors, tag changes and history', async () => {
    const page = await pageOf('/kernel/4711');
    expect(rowWith(page, '10 of 12 kmods')).toBe('10 of 12 kmods build against kernel-6.12.0-141.el10');
    expect(rowWith(page, 'taskID=9118')).toContain(
      'advisory inconclusive wrong kernel x86_64 ok aarch64 inconclusive tested the wrong kernel on aarch64',
    );
    expect(page).toContain('<a href="https://koji.example.org/koji/taskinfo?taskID=9117">9117</a>');
    expect(page).toContain('<a href="https://koji.example.org/koji/buildinfo?buildID=4711">');
    expect(rowWith(page, 'xlator.c:88')).toMatch(
      /^kmod-jool, x86_64 src.*xlator.c:88: &#39;struct net&#39; has no member/,
    );
    // What decides is said at the top, and once.
    const decides = page.slice(page.indexOf('What decides'), page.indexOf('<h3>Kmods'));
    expect(textOf(decides)).toMatch(
      /kmod-jool : does not build on x86_64: src\/mod.*Must act: the maintainer of/,
    );
    expect(rowWith(page.slice(page.indexOf('<h3>Kmods')), 'kmod-jool-4.1.14-2')).toMatch(/as above 9117$/);
    expect(rowWith(page, 'taskID=9150')).toMatch(/^move kernel-6.12.0-141.el10 from .* done 9150/);
    expect(rowWith(page, 'kernel-6.12.0-141.el10 is complete')).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/,
    );
  });

  test('shows what changed in the source, which kmods that hits and how they reach it, or why that cannot be told', async () => {
    const page = await pageOf('/kernel/4711');
    expect(page).toContain('In its source since kernel-6.12.0-140.el10 (x86_64)');
    expect(page).toContain('<summary>struct genl_ops, function genlmsg_put and 12 more</summary>');
    expect(page).toContain('<a href="/cause/struct/genl_ops">struct genl_ops</a>');
    expect(page).toContain('<a href="/symbol/genl_register_family">');
    expect(rowWith(page.slice(page.indexOf('In its source')), '/cause/struct/genl_ops')).toBe(
      'struct genl_ops + int (*pre_doit)(const struct genl_split_ops *) u8 flags → unsigned long flags (72 bytes, was 64) kmod-jool 14',
    );
    expect(rowWith(page, '/cause/function/genlmsg_put')).toMatch(/kmod-jool 1, and 3 that did not change$/);
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
      /^kmod-jool-4.1.14-2.el10 broken waived kmod x86_64 broken aarch64 ok does not build .* waived by ada until 2026-12-01 00:00 UTC: the vendor ships/,
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
    const at = (nvr: string) => page.indexOf(`<b class="tight">${nvr}`);
    expect(at('kmod-jool')).toBeGreaterThan(0);
    expect(at('kmod-jool')).toBeLessThan(at('kmod-vendor-reset'));
    expect(at('kmod-vendor-reset')).toBeLessThan(at('kmod-acpi-call'));
  });

  test('shows what is awaited, from whom, and how long that took before', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: NOW });
    const seen = await exampleSources(NOW).explain('4720');
    const [run] = seen?.runs ?? [];
    if (!seen || !run) throw new Error('the example has no run of 4720');
    const build = { what: 'build kmod-zfs in kmods10', kmod: 'kmod-zfs', from: 'builders' } as const;
    const awaited = [
      { ...build, task: { id: 9400 }, since: NOW - 120_000, usual: 600_000 },
      { what: 'request a repo of kmods10', from: 'hub', since: NOW - 60_000 } as const,
    ];
    const page = await pageOf('/kernel/4720', {
      explain: async () => ({ ...seen, runs: [{ ...run, awaited }] }),
    });
    expect(rowWith(page, 'build kmod-zfs')).toBe(
      'build kmod-zfs in kmods10 the builders 9400 2 min of usually 10 min',
    );
    expect(page).toContain('<progress max="100" value="20" aria-label="build kmod-zfs in kmods10">');
    expect(rowWith(page, 'request a repo')).toBe('request a repo of kmods10 the hub 1 min');
    expect(textOf(page)).toContain('5 kmods are not judged yet');
  });

  test('folds runs before the newest one at the same gate', async () => {
    const seen = await exampleSources(NOW).explain('4711');
    const [run] = seen?.runs ?? [];
    if (!seen || !run) throw new Error('the example has no run of 4711');
    const runs = [{ ...run, run: 'el10/4711/2' }, run, { ...run, run: 'next/4711/1', gate: 'next' }];
    const page = await pageOf('/kernel/4711', { explain: async () => ({ ...seen, runs }) });
    expect(page.match(/<summary>Run .*?</g)).toEqual(['<summary>Run el10/4711/1, before<']);
    expect(page.match(/What decides/g)).toHaveLength(2);
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

describe('the page of a kmod', () => {
  test('says where it is not fine, since when, by what, and what would mend it', async () => {
    const text = textOf(await pageOf('/kmod/kmod-evdi'));
    expect(text).toContain(
      'unattributed at gate el10 With kernel-6.12.0-143.el10 : does not build on x86_64',
    );
    expect(text).toMatch(/So since kernel-6.12.0-141.el10 , \d{4}-\d\d-\d\d/);
    expect(text).toContain(
      'What would mend it Must act: the maintainer of kmod-evdi (the trouble is of the kmod)',
    );
    expect(text).toContain('Mend kmod-evdi, build it, and tag the build into kmods10');
  });

  test('shows it with each kernel, and links what is older', async () => {
    const example = exampleSources(NOW);
    const kmod: Sources['kmod'] = async (name) => {
      const found = await example.kmod(name);
      return found && { ...found, more: true };
    };
    const page = await pageOf('/kmod/kmod-zfs', { kmod });
    expect(textOf(page)).toContain('It is fine with the newest kernel');
    expect(rowWith(page, '/kernel/4730#')).toBe('kernel-6.12.0-143.el10 50 min ago ok');
    expect(page).toContain('<a href="/runs?kmod=kmod-zfs">all its runs</a>');
  });

  test('that was never tried is not found', async () => {
    const { get } = await serve();
    const response = await get('/kmod/kmod-none%3Cb%3E');
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('No kmod kmod-none&lt;b&gt; was ever tried here.');
  });
});

describe('the pages of a symbol and of a cause', () => {
  test('say with which kernels it was not as before, and whom that hit', async () => {
    const symbol = await pageOf('/symbol/genl_register_family');
    expect(textOf(symbol)).toContain(
      'First seen with kernel-6.12.0-141.el10 ; it has hit 1 kmod: kmod-jool .',
    );
    expect(textOf(symbol)).toContain('el10 x86_64 0x9e8d7c6b → 0x1f0b2c3d kernel-core kmod-jool');
    const cause = await pageOf('/cause/struct/genl_ops');
    expect(textOf(cause)).toContain('el10, x86_64 kernel-6.12.0-140.el10 + int (*pre_doit)');
    expect(textOf(cause)).toContain('(72 bytes, was 64) kmod-jool');
  });

  test('say how far they looked, and go on from there', async () => {
    expect(textOf(await pageOf('/symbol/none'))).toContain('In none of 3 runs that symbols were compared in');
    const wanted: unknown[] = [];
    const cause: Sources['cause'] = async (which, before) => {
      wanted.push(before);
      return { ...which, hits: [], looked: 50, older: 17 };
    };
    const { get } = await serve({ cause });
    expect(await (await get('/cause/struct/a%2Fb')).text()).toContain(
      '<a href="/cause/struct/a%2Fb?before=17">',
    );
    expect(await (await get('/cause/struct/a%2Fb?before=17')).text()).toContain(
      '<a href="/cause/struct/a%2Fb">Newest',
    );
    expect(wanted).toEqual([undefined, 17]);
    expect((await get('/cause/struct/x?before=y')).status).toBe(400);
  });
});

describe('live pages', () => {
  /** A dashboard, what tells it of changes, and what one viewer of it hears. */
  async function watch(of: string) {
    const listeners = new Set<(build: number | null) => void>();
    const { url, get, close } = await serve({
      onChange: (listener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    });
    const response = await fetch(`${url}/events?of=${of}`);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    return { response, get, close, listeners, next: async () => (await reader?.read())?.value };
  }

  test('are told when something is recorded of what they show, and together', async () => {
    const { response, listeners, next } = await watch('4711');
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await next()).toMatch(/^retry: 3000\nevent: hello\ndata: \d+\n\n$/);
    const tell = (build: number | null) => {
      for (const listener of listeners) listener(build);
    };
    const told = next();
    tell(4720);
    tell(4711);
    tell(4711);
    expect(await told).toBe('event: change\ndata: 1\n\n');
    const again = next();
    tell(null);
    expect(await again).toBe('event: change\ndata: 1\n\n');
  });

  test('of another kernel are not; and nothing keeps the dashboard from closing', async () => {
    const { listeners, next, close } = await watch('4711');
    await next();
    const told = next();
    for (const listener of listeners) listener(4720);
    await close();
    // The connection ends, and nothing was said before.
    await expect(told).rejects.toThrow();
    expect(listeners.size).toBe(0);
  });

  test('carry one script, which their policy names, and no other', async () => {
    const { get } = await serve();
    for (const path of ['/', '/runs', '/kernel/4711', '/kmod/kmod-zfs', '/symbol/x', '/waivers']) {
      const response = await get(path);
      const [, script, ...more] = [...(await response.text()).matchAll(/<script>(.*?)<\/script>/gs)].flat();
      expect(more).toEqual([]);
      const hash = createHash('sha256')
        .update(script ?? '')
        .digest('base64');
      expect(response.headers.get('content-security-policy')).toContain(`script-src 'sha256-${hash}';`);
    }
    expect(await (await get('/nothing')).text()).not.toContain('<script');
  });
});

test('nothing from the outside becomes markup', async () => {
  const { get } = await serve(hostileSources(exampleSources(NOW)));
  for (const path of [
    ...['/', '/runs', '/kernel/4730', '/kernel/4711', '/kernel/4720', '/waivers'],
    ...[
      '/kmod/kmod-jool',
      '/symbol/genl_register_family',
      '/cause/struct/genl_ops',
      '/?gate=%3Cb%3E&kmod=%22%3E',
    ],
  ]) {
    const page = (await (await get(path)).text()).replace(/<script>.*?<\/script>/s, '');
    expect(page, path).toContain('evil-1-1&quot;&#39;&gt;&lt;img src=x onerror=alert(1)&gt;&lt;script&gt;');
    expect(page, path).toContain('\\u001b[31m\\u202etxet\\u2066');
    expect(page, path).not.toMatch(/<script|<img|<b id|javascript:/);
    for (const order of ['\u001b', '\u202e', '\u2066']) expect(page, path).not.toContain(order);
  }
});

describe('JSON', () => {
  test('is safe to read on a terminal, and still what the sources gave', async () => {
    const example = await exampleSources(NOW).explain('4711');
    if (!example) throw new Error('no such kernel');
    const hostile = { ...example, nvr: '\u009b2J\u202e\u007f\u2028' };
    const { get } = await serve({ explain: async () => hostile });
    const text = await (await get('/api/v1/kernels/4711')).text();
    expect(text).toContain('\\u009b2J\\u202e\\u007f\\u2028');
    expect(JSON.parse(text)).toEqual(hostile);
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

  test('a hub that does not answer, or lets nobody in, is told at once; healthz stays 200, as a new start would not help', async () => {
    const health = () => ({
      started_at: 1,
      looked_at: Date.now(),
      trouble: { since: Date.now() - 660_000, reason: 'getBuild: connect ECONNREFUSED' },
      login: { state: 'fails', since: Date.now() - 60_000, reason: 'login: <b>no</b>' } as const,
      bus: null,
    });
    const { get } = await serve({ health });
    expect((await get('/healthz')).status).toBe(200);
    const ready = await get('/readyz');
    expect(ready.status).toBe(503);
    const silent = 'the hub does not answer since 11 min: getBuild: connect ECONNREFUSED';
    const locked = 'cannot log in at the hub since 1 min, nothing can be built or tagged: login: ';
    expect(await ready.json()).toMatchObject({ ok: false, reasons: [silent, `${locked}<b>no</b>`] });
    const page = await (await get('/')).text();
    expect(page).toContain(silent);
    expect(page).toContain(`${locked}&lt;b&gt;no&lt;/b&gt;`);
  });

  test('readyz is 200 while the gate can judge', async () => {
    const response = await (await serve()).get('/readyz');
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ ok: true, reasons: [], trouble: null });
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
    const response = await get('/api/v1/kernels/kernel-9-9');
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({
      error: 'No kernel build kernel-9-9 was ever seen here. Give an NVR or a Koji build id.',
    });
  });

  test('a malformed or overlong subject is the fault of the request', async () => {
    const { get, logged } = await serve();
    expect((await get('/kernel/%zz')).status).toBe(400);
    const long = await get(`/api/v1/kernels/${'x'.repeat(200)}`);
    expect(long.status).toBe(414);
    expect(await long.json()).toHaveProperty('error');
    expect(logged).toEqual([]);
  });

  test.each([
    '/',
    '/runs',
    '/kernel/4711',
    '/kmod/x',
    '/symbol/x',
    '/cause/a/b',
    '/waivers',
    '/api/v1/runs',
    '/api/v1/kernels/4711',
    '/api/v1/waivers',
  ])('trouble at %s is logged, not shown', async (path) => {
    const fail = async () => {
      throw new Error('no such table: run');
    };
    const { get, logged } = await serve({
      runs: fail,
      matrix: fail,
      explain: fail,
      waivers: fail,
      kmod: fail,
      symbol: fail,
      cause: fail,
    });
    const response = await get(path);
    const body = await response.text();
    expect(response.status).toBe(500);
    expect(body).toContain('the log of kmod-gate says why');
    expect(body).not.toMatch(/no such table|\.ts/);
    expect(logged.join('')).toContain('no such table: run');
  });
});

test.each([
  '/',
  '/runs',
  '/kmod/kmod-zfs',
  '/kernel/4711',
  '/waivers',
  '/nothing',
  '/kernel/%zz',
  '/api/v1/runs',
  '/api/v1/waivers',
  '/api/none',
  '/healthz',
  '/readyz',
])('%s comes with security headers', async (path) => {
  const { headers } = await (await serve()).get(path);
  expect(headers.get('content-security-policy')).toMatch(
    /^default-src 'none'; style-src 'sha256-[\w+/]+=*'; script-src 'sha256-[\w+/]+=*'; connect-src 'self';/,
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
