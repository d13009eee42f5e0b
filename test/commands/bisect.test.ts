/** `kmod-gate bisect` on a Koji in memory behind real HTTP, whose clock goes on while the command waits. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type BisectOptions, bisect } from '../../src/commands/bisect.ts';
import type { Config } from '../../src/config/config.ts';
import { BUILD, TASK } from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import type { TypesOf } from '../../src/reconciler/context.ts';
import { type Kernel, loadScenario, type Rule, type Scenario, splitNvr } from '../../src/sim/scenario.ts';
import { type Mishap, serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { openStore } from '../../src/store/open.ts';
import { BTF } from '../btf/kernels.ts';
import { GATE, SMALL } from '../scenarios/stage.ts';
import { gateConfig, runProgram, start } from './program.ts';

const GAMMA = 'kmod-gamma-0.8-1.el9';
const nvrOf = (i: number) => `kernel-6.1.${100 + i}-1.el9`;

/** Kernels of which those from `firstBad` on lack the symbol that kmod-gamma needs. */
function kernels(count: number, firstBad: number): Kernel[] {
  const { kernels } = loadScenario(SMALL);
  const all = kernels[0]?.symbols ?? [];
  return Array.from({ length: count }, (_, i) => {
    const symbols = i < firstBad ? all : all.filter(({ name }) => name !== 'pci_clear_master');
    const exports = new Set(symbols.map(({ name }) => name));
    const tags = ['c9s-build', 'c9s-candidate'];
    return { ...splitNvr(nvrOf(i)), tags, built: true, symbols, exports, variants: {}, single: false };
  });
}

const rule = (kernel: number, more: Partial<Rule>): Rule => ({
  ...{ kmod: '*', kernel: nvrOf(kernel), arch: '*', result: 'traceback', log: [], times: null },
  ...more,
});

let world: World;
let server: WorldServer;
let folder: string;
/** What the hub does to a request; set by a test. */
let mishap: (method: string, inner: readonly string[]) => Mishap;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-bisect-'));
  mishap = () => 'none';
});
afterEach(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function setWorld(count: number, firstBad: number, more: Partial<Scenario> = {}): Promise<void> {
  world = createWorld({ ...loadScenario(SMALL), kernels: kernels(count, firstBad), ...more });
  server = await serveWorld(world, {
    faults: (method) => mishap(method, server.requests.at(-1)?.inner ?? []),
  });
}

const configFor = (more: Partial<Config> = {}): Config => ({
  koji: {
    server: server.url,
    weburl: 'https://koji.example.org/koji',
    authtype: 'password',
    user: 'kmod-gate',
    password: 'gate-password',
    timeout: 2_000,
  },
  store: { url: `sqlite:${join(folder, 'none.db')}` },
  sweep: { every: 300_000, poll: 30_000, settle: 10_000 },
  gates: [GATE],
  ...more,
});

/** Run it to its end. `waiting` is called whenever it waits, before time goes on. */
async function bisected(
  options: Partial<BisectOptions> = {},
  { config = configFor(), waiting = () => {} }: { config?: Config; waiting?: () => void } = {},
) {
  const texts = { out: '', progress: '' };
  const into = (of: keyof typeof texts) => ({
    write: (text: string) => {
      texts[of] += text;
    },
    colour: false,
  });
  const clock = {
    now: () => world.now(),
    async sleep(ms: number) {
      waiting();
      world.tick(ms);
    },
  };
  const last = world.state.scenario.kernels.length - 1;
  const found = await bisect(config, into('out'), {
    ...{ kmod: 'kmod-gamma', good: nvrOf(0), bad: nvrOf(last), dryRun: false, json: false, live: false },
    ...{ stop: new AbortController().signal, progress: into('progress'), clock, ...options },
  });
  return { found, ...texts };
}

const bisectedJson = async (...[options, more]: Parameters<typeof bisected>) => {
  const { found, out, progress } = await bisected({ ...options, json: true }, more);
  return { found, progress, ...JSON.parse(out) };
};

const scratchBuilds = () => world.tasks().filter(({ method, owner }) => method === 'build' && owner !== 1);
const sideTags = () => world.call({ method: 'listSideTags', params: [] });
const liveTasks = () => {
  const alive: readonly number[] = [TASK.FREE, TASK.OPEN, TASK.ASSIGNED];
  return world.tasks().filter(({ owner, state, method }) => {
    const isOurs = world.state.users.find(({ id }) => id === owner)?.name === 'kmod-gate';
    return isOurs && alive.includes(state) && method !== 'newRepo';
  });
};
/** What is in each tag that is no side tag. */
const tagged = () => world.state.listings.filter(({ tag_id }) => tag_id <= 8).map((one) => ({ ...one }));

function expectTidy(before: ReturnType<typeof tagged>): void {
  expect(sideTags()).toEqual([]);
  expect(liveTasks()).toEqual([]);
  expect(tagged()).toEqual(before);
}

describe('the first kernel that breaks a kmod', () => {
  const rows = [2, 9, 16].flatMap((count) =>
    Array.from({ length: count - 1 }, (_, i) => [count, i + 1] as const),
  );
  test.each(rows)('of %i kernels, bad from number %i on', async (count, firstBad) => {
    await setWorld(count, firstBad);
    const before = tagged();
    const found = await bisectedJson();
    expect(found).toMatchObject({
      ...{
        found: true,
        answer: 'found',
        first_bad: nvrOf(firstBad),
        last_good: nvrOf(firstBad - 1),
        left: [],
      },
      ...{ kmod: GAMMA, arch: 'x86_64', suspects: [nvrOf(firstBad)] },
    });
    expect(found.most_builds).toBe(Math.ceil(Math.log2(count - 1)) + 2);
    expect(scratchBuilds().length).toBeLessThanOrEqual(found.most_builds);
    expect(found.tried).toHaveLength(scratchBuilds().length);
    for (const { kernel, verdict } of found.tried) {
      const { exports } = world.state.scenario.kernels.find(({ nvr }) => nvr === kernel) as Kernel;
      expect(verdict).toBe(exports.has('pci_clear_master') ? 'good' : 'bad');
    }
    expectTidy(before);
  });

  test('is told with its error, task, and the symbol that went in that step', async () => {
    await setWorld(9, 5);
    const { out, progress } = await bisected();
    expect(out).toContain(
      `${GAMMA} on x86_64, gate c9s: from ${nvrOf(0)} (good) to ${nvrOf(8)} (bad)\n9 kernels, both ends included.\nAt most 5 scratch builds, each in a side tag of kmods9s-build, one after the other.\n`,
    );
    expect(out).toContain(`The first kernel that breaks ${GAMMA} on x86_64: ${nvrOf(5)}\n`);
    expect(out).toContain(`The last one before it that does not: ${nvrOf(4)}\n`);
    expect(out).toMatch(
      /^kernel-6\.1\.105-1\.el9 +bad +https:\/\/koji\.example\.org\/koji\/taskinfo\?taskID=\d+ +does not build on x86_64: .*pci_clear_master/m,
    );
    expect(out).toContain(
      `From ${nvrOf(4)} to ${nvrOf(5)}\nOf 6 symbols: 0 added, 1 removed, 0 changed. ${GAMMA} needs 1 of them:\n`,
    );
    expect(out).toMatch(/^pci_clear_master +0x453af477 → gone +kernel-core$/m);
    expect(progress).toMatch(/kernel-6\.1\.104-1\.el9 is good$/m);
  });

  test('is found on a hub that makes repos only when tags have changed, too', async () => {
    await setWorld(9, 3, { hub: { version: '1.34.1', lacks: ['repo.request', 'tagLastChangeEvent'] } });
    expect(await bisectedJson()).toMatchObject({ answer: 'found', first_bad: nvrOf(3) });
  });

  test('is explained by the types of both kernels where there are any', async () => {
    await setWorld(3, 1);
    const changed = world.state.scenario.kernels.map((kernel, i) => ({
      ...kernel,
      symbols: kernel.symbols.map((symbol) =>
        i > 0 && symbol.name === 'seq_printf' ? { ...symbol, crc: '0x00000001' } : symbol,
      ),
    }));
    await server.close();
    await setWorld(3, 1, {
      kernels: changed,
      rules: [1, 2].map((i) =>
        rule(i, { kmod: 'kmod-beta', result: 'fails', log: ['src/a.c:1:1: error: no'] }),
      ),
    });
    const typesOf: TypesOf = async ({ id }) => {
      const version = id === world.build(nvrOf(0))?.id ? '6.1.170' : '6.1.176';
      return { btf: BTF[version], file: version };
    };
    const { out } = await bisected({ kmod: 'kmod-beta', typesOf });
    expect(out).toMatch(/^\d+ declarations changed in the kernel, which breaks 1 of 1 kmod:$/m);
    expect(out).toContain('struct device: + unsigned long flags[1]');
    const none: TypesOf = async () => ({ btf: null, why: 'no such file', later: false });
    expect((await bisected({ kmod: 'kmod-beta', typesOf: none })).out).toContain(
      `Why cannot be told: ${nvrOf(0)}: no such file`,
    );
  });
});

describe('before anything is built', () => {
  test('a dry run says how many kernels and builds there are, and needs no login', async () => {
    await setWorld(12, 4);
    const { koji, ...rest } = configFor();
    const config = { ...rest, koji: { ...koji, authtype: 'noauth' as const } };
    const { found, out } = await bisected({ dryRun: true }, { config });
    expect(found).toBe(true);
    expect(out).toContain('12 kernels, both ends included.\nAt most 6 scratch builds');
    expect(server.requests.map(({ method }) => method)).not.toContain('login');
    await expect(bisected({}, { config })).rejects.toThrow('scratch builds need a login');
    expect(scratchBuilds()).toEqual([]);
  });

  test('kernels that were deleted, have no files or no devel package are left out, and said', async () => {
    await setWorld(9, 4);
    const [gone, deleted] = [world.build(nvrOf(3)), world.build(nvrOf(4))];
    if (!gone || !deleted) throw new Error('no such kernels');
    deleted.state = BUILD.DELETED;
    for (const [i, rpm] of world.state.rpms.entries())
      if (rpm.build_id === gone.id) world.state.rpms[i] = { ...rpm, provides: [] };
    for (const [i, rpm] of world.state.rpms.entries())
      if (rpm.build_id === world.build(nvrOf(6))?.id && rpm.name === 'kernel-devel')
        world.state.rpms[i] = { ...rpm, name: 'kernel-doc' };
    const { out } = await bisected();
    expect(out).toContain('6 kernels, both ends included.\nAt most 5 scratch builds');
    expect(out).toContain(`Left out: ${nvrOf(4)}: it was deleted\n`);
    expect(out).toContain(
      `Left out: ${nvrOf(3)}: the hub has no file of kernel-devel-6.1.103-1.el9.x86_64 any more\n`,
    );
    expect(out).toContain(`Left out: ${nvrOf(6)}: it has no devel package for x86_64\n`);
    // The first that breaks it of those that can be tried.
    expect(out).toContain(`The first kernel that breaks ${GAMMA} on x86_64: ${nvrOf(5)}\n`);
  });

  test('kernels that were in another tag only are none of the gate, unless that is asked for', async () => {
    const all = kernels(9, 4).map((kernel, i) => (i % 2 === 1 ? { ...kernel, tags: ['c9s-build'] } : kernel));
    await setWorld(9, 4, { kernels: all });
    expect((await bisectedJson({ dryRun: true })).kernels).toEqual([0, 2, 4, 6, 8].map(nvrOf));
    expect((await bisectedJson({ dryRun: true, tag: 'c9s-build' })).kernels).toHaveLength(9);
  });

  const wrong: readonly (readonly [string, Partial<BisectOptions>, string])[] = [
    ['no such kernel', { good: 'kernel-1-1' }, '--good kernel-1-1: the hub has no such build'],
    ['the wrong way round', { good: nvrOf(2), bad: nvrOf(1) }, 'it must be older than --bad'],
    ['no such kmod', { kmod: 'kmod-delta' }, 'kmods9s-release has no build of it'],
    ['a build of another kmod', { build: 'kmod-beta-2.1-3.el9' }, 'it is a build of kmod-beta'],
    ['a kmod as a kernel', { good: GAMMA }, 'gate c9s is for kernel, not for kmod-gamma'],
    ['no such gate', { gate: 'c8s' }, '--gate c8s: no such gate, only c9s'],
    ['an architecture that it has not', { arch: 's390x' }, 'are built for x86_64'],
  ];
  test.each(wrong)('%s', async (_, options, message) => {
    await setWorld(3, 1);
    await expect(bisected(options)).rejects.toThrow(message);
    expect(scratchBuilds()).toEqual([]);
  });

  test('a hub without side tags is told', async () => {
    await setWorld(3, 1, { hub: { version: '1.35.3', lacks: ['createSideTag'] } });
    await expect(bisected()).rejects.toThrow('the hub has no side tags');
  });
});

describe('what is no such pair', () => {
  test('a good kernel that is bad ends it after one build', async () => {
    await setWorld(9, 0);
    const { found, out } = await bisected();
    expect(found).toBe(false);
    expect(out).toMatch(/^--good kernel-6\.1\.100-1\.el9 is bad: does not build on x86_64: /m);
    expect(scratchBuilds()).toHaveLength(1);
  });
  test('a bad kernel that is good ends it after two', async () => {
    await setWorld(9, 9);
    const { found, out } = await bisected();
    expect(found).toBe(false);
    expect(out).toContain(`--bad ${nvrOf(8)} is good: ${GAMMA} builds against it on x86_64`);
    expect(scratchBuilds()).toHaveLength(2);
  });
  test('an end of which nothing can be shown ends it', async () => {
    await setWorld(9, 4, { rules: [rule(8, {})] });
    expect(await bisectedJson()).toMatchObject({ found: false, answer: 'nothing-shown', kernel: nvrOf(8) });
    expect(sideTags()).toEqual([]);
  });
});

describe('a kernel whose builds prove nothing', () => {
  test('is tried again where it is the machine, and that is not counted against the kernel', async () => {
    await setWorld(9, 4, { rules: [rule(4, { times: 1 }), rule(3, { times: 2 })] });
    const { first_bad, tried } = await bisectedJson();
    expect(first_bad).toBe(nvrOf(4));
    const tasks = Object.fromEntries(
      tried.map(({ kernel, tasks }: { kernel: string; tasks: number[] }) => [kernel, tasks.length]),
    );
    expect(tasks[nvrOf(4)]).toBe(2);
    expect(tasks[nvrOf(3)]).toBe(3);
  });
  test.each([3, 5, 6])(
    'is passed over: number %i, with the first bad one known for sure',
    async (skipped) => {
      await setWorld(9, 5 === skipped ? 3 : 5, { rules: [rule(skipped, {})] });
      expect(await bisectedJson()).toMatchObject({
        answer: 'found',
        first_bad: nvrOf(5 === skipped ? 3 : 5),
      });
      expect(sideTags()).toEqual([]);
    },
  );
  test('just before the first bad one leaves two of which one is it', async () => {
    await setWorld(9, 5, { rules: [rule(4, {})] });
    const { found, out } = await bisected();
    expect(found).toBe(false);
    expect(out).toContain(`It is one of these:\n  ${nvrOf(4)}\n  ${nvrOf(5)}\n`);
    expect(out).toContain(`The last one before them that does not: ${nvrOf(3)}\n`);
  });
  test('which never ends is cancelled after the time that a build may take', async () => {
    const policy = { ...DEFAULT_POLICY, longest_build: 3_600_000, retries: { kmod: 0, run: 0, day: 0 } };
    await setWorld(5, 3, { rules: [rule(2, { result: 'hangs' })] });
    const before = tagged();
    const config = configFor({ gates: [{ ...GATE, policy }] });
    const { answer, suspects, tried } = await bisectedJson({}, { config });
    expect({ answer, suspects }).toEqual({ answer: 'unsure', suspects: [nvrOf(2), nvrOf(3)] });
    expect(tried[2].cause).toBe('its build did not end within 1 h 0 min');
    expectTidy(before);
  });
});

test('no build begins before its kernel is the newest in its side tag, where kernels are inherited, too', async () => {
  await setWorld(9, 4);
  const held: number[] = [];
  mishap = (method) => {
    const tag = world.state.tags.at(-1);
    if (method === 'build') held.push(world.state.listings.filter(({ tag_id }) => tag_id === tag?.id).length);
    return 'none';
  };
  const { tried } = await bisectedJson();
  expect(held).toEqual(tried.map(() => 1));
});

describe('a lost reply', () => {
  const WRITES = ['createSideTag', 'build', 'tagBuild', 'removeSideTag'];
  test.each(
    WRITES.flatMap((method) => (['drop-after', 'drop-before'] as const).map((how) => [how, method] as const)),
  )('%s of each %s: nothing is built twice, and nothing is left', async (how, method) => {
    await setWorld(9, 4);
    const before = tagged();
    let count = 0;
    // Every second one, so that what is sent again arrives.
    mishap = (called) => (called === method && count++ % 2 === 0 ? how : 'none');
    const { answer, first_bad, left } = await bisectedJson();
    expect({ answer, first_bad, left }).toEqual({ answer: 'found', first_bad: nvrOf(4), left: [] });
    expect(count).toBeGreaterThan(0);
    expect(scratchBuilds().length).toBeLessThanOrEqual(5);
    expectTidy(before);
  });
  test('a hub that does not answer for two minutes is waited for', async () => {
    await setWorld(5, 2);
    const start = world.now();
    mishap = () => {
      const minutes = (world.now() - start) / 60_000;
      return minutes > 2 && minutes < 4 ? 'html-502' : 'none';
    };
    expect(await bisectedJson()).toMatchObject({ answer: 'found', first_bad: nvrOf(2) });
  });
});

describe('stopped', () => {
  test.each(Array.from({ length: 24 }, (_, i) => [i]))(
    'at the wait number %i: nothing is left on the hub',
    async (at) => {
      await setWorld(9, 4);
      const before = tagged();
      const stop = new AbortController();
      let waits = 0;
      const waiting = () => {
        if (waits++ === at) stop.abort();
      };
      const { found, out } = await bisected({ stop: stop.signal }, { waiting });
      if (waits > at)
        expect({ found, out }).toMatchObject({ found: false, out: expect.stringContaining('Stopped.') });
      expectTidy(before);
    },
  );
  test.each(['createSideTag', 'build', 'tagBuild', 'removeSideTag', 'getTaskInfo'])(
    'while %s is under way and its reply is lost',
    async (method) => {
      await setWorld(9, 4);
      const before = tagged();
      const stop = new AbortController();
      mishap = (called) => {
        if (called !== method || stop.signal.aborted) return 'none';
        stop.abort();
        return 'drop-after';
      };
      const { found } = await bisected({ stop: stop.signal });
      expect(found).toBe(false);
      expectTidy(before);
    },
  );
  test('the same command goes on from what was built', async () => {
    await setWorld(16, 11);
    const stop = new AbortController();
    await bisected({ stop: stop.signal }, { waiting: () => scratchBuilds().length === 4 && stop.abort() });
    expect(scratchBuilds()).toHaveLength(4);
    expect(await bisectedJson()).toMatchObject({ answer: 'found', first_bad: nvrOf(11) });
    // Three had ended; the fourth was cancelled, and is built again.
    expect(scratchBuilds().length).toBeLessThanOrEqual(7);
  });
  test('what cannot be taken away is told as commands', async () => {
    await setWorld(5, 2);
    mishap = (method) => (method === 'removeSideTag' ? 'html-502' : 'none');
    const { left } = await bisectedJson();
    expect(left[0]).toMatch(/^koji remove-side-tag kmods9s-build-side-\d+$/);
    expect(left).toHaveLength((sideTags() as unknown[]).length);
  });
});

describe('after a crash', () => {
  /** Nobody tidies up after this one: its hub is gone for it, for longer than it waits. */
  async function crashed(when: () => boolean, options: Partial<BisectOptions> = {}): Promise<void> {
    mishap = () => (when() ? 'drop-before' : 'none');
    const waiting = () => {
      if (when()) world.tick(3_600_000);
    };
    await expect(bisected(options, { waiting })).rejects.toThrow();
    mishap = () => 'none';
  }

  test('the next start finds what it has left there, and removes it', async () => {
    await setWorld(9, 4, { rules: [rule(8, { result: 'hangs', times: 1 })] });
    const before = tagged();
    await crashed(() => scratchBuilds().length === 2);
    expect(sideTags()).toHaveLength(1);
    expect(liveTasks().map(({ method }) => method)).toContain('build');
    const { progress, ...found } = await bisectedJson();
    expect(found).toMatchObject({ answer: 'found', first_bad: nvrOf(4) });
    expect(progress).toMatch(/Removes kmods9s-build-side-\d+, which an earlier bisection/);
    expectTidy(before);
  });
  test('a side tag of another question, and one that a person has put a build into, stay', async () => {
    await setWorld(9, 4);
    const question = { bad: nvrOf(7) };
    await crashed(() => scratchBuilds().length === 1, question);
    const [{ name }] = sideTags() as unknown as [{ name: string }];
    await bisectedJson();
    expect(sideTags()).toHaveLength(1);
    world.as('kojiadmin').tagBuild(name, nvrOf(8));
    const { left, progress } = await bisectedJson(question);
    expect(progress).toContain(`${name} stays: it holds ${nvrOf(8)}, which is somebody else's`);
    expect(left).toEqual([`koji remove-side-tag ${name}`]);
    expect(sideTags()).toHaveLength(1);
  });
  test('an empty side tag may be of one that was killed as it made it: that is only told', async () => {
    await setWorld(3, 1);
    world.as('kmod-gate').call('createSideTag', 'kmods9s-build');
    const { progress } = await bisectedJson();
    expect(progress).toMatch(
      /No build was made in kmods9s-build-side-\d+ of kmod-gate: if nobody .* "koji remove-side-tag/,
    );
    expect(sideTags()).toHaveLength(1);
  });
});

test('a build that a person cancels ends it, with nothing left', async () => {
  await setWorld(9, 4);
  const before = tagged();
  const waiting = () => {
    const running = scratchBuilds().find(({ state }) => state === TASK.OPEN);
    if (running) world.as('kojiadmin').call('cancelTask', running.id);
  };
  await expect(bisected({}, { waiting })).rejects.toThrow(/^task \d+ was cancelled/);
  expectTidy(before);
});

test('what the store of the gate shows of the same build is not built again', async () => {
  await setWorld(9, 4);
  const url = `sqlite:${join(folder, 'gate.db')}`;
  const store = await openStore(url, { mode: 'write', hub: server.url });
  const gamma = world.build(GAMMA);
  if (!gamma) throw new Error('no kmod');
  const source = `../packages/kmod-gamma/0.8/1.el9/src/${GAMMA}.src.rpm`;
  for (const [i, ends] of [
    [0, 'done'],
    [8, 'failed'],
  ] as const) {
    const build = world.build(nvrOf(i));
    if (!build) throw new Error('no kernel');
    const kernel = { id: build.id, ...splitNvr(build.nvr), epoch: null };
    await store.seeKernel(kernel, world.now());
    const kmod = { name: 'kmod-gamma', buildId: gamma.id, nvr: GAMMA, source, required: true };
    const id = `c9s/${build.id}/1`;
    await store.beginRun({
      ...{ id, gate: 'c9s', kernel, generation: 1, entry: 1, tags: [], kmods: [kmod], baseline: null },
      ...{ startedAt: world.now(), strategy: 'rebuild' },
    });
    const run = await store.run(id);
    if (!run) throw new Error('no run');
    const write = {
      kind: 'scratch-build',
      kmod: 'kmod-gamma',
      source,
      target: 'kmods9s-gate',
      priority: 5,
    } as const;
    const [intent] = await store.intend(run, [write], world.now());
    if (!intent) throw new Error('no intent');
    const devel = [{ id: build.id, nvr: build.nvr.replace('kernel-', 'kernel-devel-') }];
    const errors = [{ kind: 'source', file: 'a.c', line: 1, message: 'no such function' }] as const;
    const of = { arch: 'x86_64', task: 1, buildroot: devel, repo: null };
    await store.receive(run, intent, { at: world.now(), task: 100 + i });
    await store.end(
      run,
      intent,
      ends === 'done'
        ? {
            at: world.now(),
            how: ends,
            build: { state: 'closed', arches: [{ ...of, state: TASK.CLOSED, errors: [] }] },
          }
        : {
            ...{ at: world.now(), how: ends, why: 'x' },
            build: { state: 'failed', arches: [{ ...of, state: TASK.FAILED, errors }] },
          },
    );
  }
  await store.close();
  const config = configFor({ store: { url } });
  expect((await bisected({ dryRun: true }, { config })).out).toContain('At most 3 scratch builds');
  const { first_bad, tried } = await bisectedJson({}, { config });
  expect(first_bad).toBe(nvrOf(4));
  expect(scratchBuilds().length).toBeLessThanOrEqual(3);
  expect(tried[0]).toMatchObject({ verdict: 'good', tasks: [100], by: `c9s/${world.build(nvrOf(0))?.id}/1` });
});

describe('the program', () => {
  let clock: NodeJS.Timeout;
  /** Its hub's time goes on by itself, a minute in a second; while it is stopped, builds stay as they are. */
  async function launch(speed = 60): Promise<string[]> {
    clock = setInterval(() => world.tick(20 * speed), 20);
    const file = join(folder, 'kmod-gate.toml');
    writeFileSync(file, gateConfig(server.url, folder));
    return ['bisect', '--config', file, '--kmod', 'kmod-gamma', '--good', nvrOf(0), '--bad'];
  }
  afterEach(() => clearInterval(clock));

  test('says by its exit code whether it was found, and which argument is wrong', async () => {
    await setWorld(4, 2);
    const command = await launch(600);
    const found = await runProgram(...command, nvrOf(3), '--json');
    expect(found.code).toBe(0);
    expect(JSON.parse(found.stdout)).toMatchObject({ first_bad: nvrOf(2) });
    expect(found.stderr).toContain(`${nvrOf(3)} is bad`);
    expect((await runProgram(...command, nvrOf(1))).code).toBe(1);
    const wrong = await runProgram(...command, 'kernel-9-9');
    expect(wrong).toMatchObject({ code: 2, stderr: '--bad kernel-9-9: the hub has no such build\n' });
    expect((await runProgram(...command, nvrOf(3), '--dry-run')).stdout).toContain('At most ');
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it, and nothing is left', async (signal) => {
    await setWorld(9, 4);
    const before = tagged();
    const program = start([...(await launch()), nvrOf(8)]);
    await expect.poll(() => liveTasks().length, { timeout: 60_000, interval: 20 }).toBeGreaterThan(1);
    program.child.kill(signal);
    const { code, stdout } = await program.ended;
    expect({ code, stdout }).toMatchObject({ code: 1, stdout: expect.stringContaining('Stopped.') });
    expectTidy(before);
  });

  test('killed with SIGKILL, the next one tidies up and goes on', async () => {
    await setWorld(4, 2);
    const before = tagged();
    const command = [...(await launch(600)), nvrOf(3)];
    const program = start(command);
    await expect.poll(() => scratchBuilds().length, { timeout: 60_000, interval: 1 }).toBe(2);
    program.child.kill('SIGKILL');
    await program.ended;
    const next = await runProgram(...command);
    expect(next.stdout).toContain(`The first kernel that breaks ${GAMMA} on x86_64: ${nvrOf(2)}`);
    expectTidy(before);
  });
});
