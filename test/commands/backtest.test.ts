/** `kmod-gate backtest` beside real gates that have lived through the same past. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { backtestCommand } from '../../src/commands/backtest.ts';
import { CheckError } from '../../src/commands/error.ts';
import { createBar } from '../../src/commands/progress.ts';
import type { Config } from '../../src/config/config.ts';
import type { Gate } from '../../src/core/model.ts';
import { connectHub } from '../../src/koji/client.ts';
import { type Answer, type Call, type Hub, HubError } from '../../src/koji/hub.ts';
import { backtest } from '../../src/reconciler/backtest.ts';
import { openStore } from '../../src/store/open.ts';
import { GATE, NEW, OLD, type Stage, type StageOptions, setStage } from '../scenarios/stage.ts';
import { AGAIN, BY_SYMBOLS, happen, LATER, MENDED, NEW_BETA, NEWEST, SAME, withPast } from './past.ts';
import { gateConfig, start } from './program.ts';

let stage: Stage;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
});
afterEach(async () => {
  await stage.end();
  rmSync(folder, { recursive: true, force: true });
});

const KERNELS = [SAME, NEW, LATER, MENDED, AGAIN];
/** Once OLD had passed. */
const SINCE = '2026-01-06T00:00Z';
const file = () => join(folder, 'headers.db');

interface Row {
  readonly nvr: string;
  readonly verdict: string;
  readonly reasons: string[];
  readonly missing: string[];
  readonly unread: string[];
  readonly would_build: string[];
  readonly by_symbols: { readonly verdict: string };
  readonly became: { readonly how: string; readonly tag: string; readonly by: string };
}

async function written(
  gates: readonly Gate[],
  options: Partial<Parameters<typeof backtestCommand>[2]> = {},
): Promise<string> {
  const parts: string[] = [];
  const output = { write: (more: string) => void parts.push(more), colour: false };
  const koji = { server: stage.server.url, timeout: 5_000, authtype: 'password', user: 'x', password: 'y' };
  const config = { koji, gates } as unknown as Config;
  const wanted = { since: SINCE, store: file(), json: false, ...options };
  await backtestCommand(config, output, wanted, createBar(output, false));
  return parts.join('');
}

const told = async (gate: Gate = stage.gate, options: { since?: string } = {}) =>
  JSON.parse(await written([gate], { ...options, json: true })) as {
    kernels: Row[];
    summary: Record<string, number>;
  };

/** A past through which a gate has lived. */
async function live(gate: Partial<Gate>, options: StageOptions = {}): Promise<void> {
  stage = await setStage({ scenario: withPast, ...options, gate: { ...BY_SYMBOLS, ...gate } });
  stage.hear();
  await happen(stage, (nvr) => stage.closed(nvr));
}

/** The same that nobody has looked at. */
async function pass(): Promise<void> {
  stage = await setStage({ scenario: withPast, gate: { ...BY_SYMBOLS, mode: 'observe' } });
  await happen(stage, async () => {});
}

const GATES: [string, Partial<Gate>, string[]][] = [
  ['plain', {}, ['promote', 'block', 'block', 'promote', 'block']],
  [
    'with advisory kmods',
    { kmods: { ...GATE.kmods, advisory: ['kmod-b*', 'kmod-gamma'] } },
    ['promote', 'promote', 'promote', 'promote', 'promote'],
  ],
  [
    'with a limit of advisory kmods',
    {
      kmods: { ...GATE.kmods, advisory: ['kmod-b*', 'kmod-gamma'] },
      policy: { ...GATE.policy, advisory_limit: 1 },
    },
    ['promote', 'block', 'promote', 'promote', 'promote'],
  ],
  [
    'with a stablelist',
    {
      kmods: { ...GATE.kmods, exclude: ['kmod-gamma', 'kmod-beta'] },
      stablelist: { effect: 'block', symbols: { '*': ['seq_printf'] } },
    },
    ['promote', 'block', 'block', 'block', 'block'],
  ],
  // Which the new kmod-beta does not fit either.
  ['with a baseline of its own', { baseline: OLD }, ['promote', 'block', 'block', 'promote', 'promote']],
  [
    'without a kmod that can be told',
    { kmods: { ...GATE.kmods, include: ['kmod-gamma'] }, policy: { ...GATE.policy, unattributed: 'hold' } },
    ['promote', 'block', 'block', 'promote', 'promote'],
  ],
];

describe('what a real gate said of each kernel, backtest says too', () => {
  test.each(GATES)('%s, that moved the kernels itself: word for word', async (_, gate, verdicts) => {
    await live({ mode: 'enforce', ...gate });
    const { kernels } = await told();
    const runs = await Promise.all(KERNELS.map((nvr) => stage.run(nvr)));
    expect(kernels.map(({ nvr }) => nvr)).toEqual(KERNELS);
    expect(kernels.map(({ verdict }) => verdict)).toEqual(verdicts);
    expect(kernels.map(({ verdict, reasons }) => ({ verdict, reasons }))).toEqual(
      runs.map((run) => ({ verdict: run?.verdict?.verdict, reasons: run?.verdict?.reasons })),
    );
  });
  test.each(GATES)('%s, that only looked on', async (_, gate, verdicts) => {
    await live({ mode: 'observe', ...gate });
    const { kernels } = await told();
    const runs = await Promise.all(KERNELS.map((nvr) => stage.run(nvr)));
    expect(runs.map((run) => run?.verdict?.verdict)).toEqual(verdicts);
    expect(kernels.map(({ verdict }) => verdict)).toEqual(verdicts);
  });
  test('one that builds what does not load: those kmods that it built, and no verdict', async () => {
    await live({ mode: 'enforce', strategy: 'symbols-then-rebuild', build: GATE.build });
    const { kernels, summary } = await told();
    const built = (nvr: string) =>
      Promise.resolve(stage.run(nvr)).then((run) =>
        (run?.intents ?? []).flatMap(({ write }) =>
          write.kind === 'scratch-build' && !write.against ? write.kmod : [],
        ),
      );
    expect(kernels.map(({ would_build }) => would_build)).toEqual(await Promise.all(KERNELS.map(built)));
    expect(kernels.map(({ verdict }) => verdict)).toEqual([
      'promote',
      'unknown',
      'unknown',
      'promote',
      'unknown',
    ]);
    expect(kernels.map(({ by_symbols }) => by_symbols.verdict)).toEqual([
      'promote',
      'block',
      'block',
      'promote',
      'block',
    ]);
    expect(summary).toMatchObject({ block: 0, unknown: 3, undecided: 3, undecided_blocked: 3 });
    const text = await written([stage.gate]);
    expect(text).toContain('would have built 2 kmods: kmod-beta, kmod-gamma');
    expect(text).toContain('by symbols alone block: kmod-beta-2.1-3.el9: does not load on x86_64');
    expect(text).toContain('Of 3 it cannot be told: the gate would have built kmods.');
  });
  test('one that only builds is told to have built all', async () => {
    await pass();
    const { kernels } = await told({ ...stage.gate, strategy: 'rebuild', build: GATE.build });
    expect(new Set(kernels.map(({ verdict }) => verdict))).toEqual(new Set(['unknown']));
    expect(kernels[0]?.would_build).toEqual(['kmod-alpha', 'kmod-beta', 'kmod-gamma']);
  });
});

describe('the report', () => {
  test('shows when, which, what, why, and what became of it', async () => {
    await pass();
    const text = await written([stage.gate]);
    expect(text).toMatch(
      /^CAME +KERNEL +WOULD BE +ON THE HUB +BECAUSE\n2026-01-0\d \d\d:\d\d:\d\d +kernel-6\.1\.171-48\.el9 +promote +passed: c9s-candidate 2026-01-0\d \d\d:\d\d:\d\d by release-manager +3 of 3 kmods load/,
    );
    expect(text).toMatch(
      /kernel-6\.1\.176-50\.el9 +block +passed: c9s-candidate [-\d: ]+ by release-manager +kmod-beta-2\.1-3\.el9: does not load on x86_64: .*seq_printf/,
    );
    expect(text).toMatch(
      /kernel-6\.1\.187-53\.el9 +block +blocked: c9s-blocked [-\d: ]+ by release-manager +kmod-gamma/,
    );
    expect(text).toMatch(/kernel-6\.1\.195-57\.el9 +block +stands in c9s-gate +kmod-beta-2\.2-1\.el9/);
    expect(text).toMatch(
      /\n\n3 of 5 kernels would have been blocked, and 0 held\.\n1 of those that would have been blocked passed\.\n$/,
    );
  });
  test('has a kernel that passed the gate by, one that was taken out, and one that came again', async () => {
    await pass();
    const manager = stage.world.as('release-manager');
    manager.untagBuild('c9s-gate', AGAIN);
    stage.world.tick(1_000);
    manager.moveBuild('c9s-blocked', 'c9s-gate', LATER);
    stage.world.as('kojiadmin').tagBuild('c9s-candidate', AGAIN);
    const { kernels: rows, summary } = await told();
    expect(rows.map(({ nvr, became }) => `${nvr} ${became.how} ${became.tag}`)).toEqual([
      `${SAME} passed c9s-candidate`,
      `${NEW} passed c9s-candidate`,
      `${LATER} failed c9s-blocked`,
      `${MENDED} passed c9s-candidate`,
      `${AGAIN} passed c9s-candidate`,
      `${LATER} waits c9s-gate`,
    ]);
    // By then its kmods were mended.
    expect(rows.at(-1)).toMatchObject({ verdict: 'promote' });
    expect(summary).toMatchObject({ kernels: 5, block: 2, promote: 3, released: 2 });
  });
  test('begins at a date; what stood before the gate then counts', async () => {
    await pass();
    const { kernels } = await told(stage.gate, { since: '2026-01-10' });
    expect(kernels.map(({ nvr }) => nvr)).toEqual([LATER, MENDED, AGAIN]);
    expect((await told(stage.gate, { since: '2026-03-01' })).kernels).toMatchObject([{ nvr: AGAIN }]);
    stage.world.as('release-manager').untagBuild('c9s-gate', AGAIN);
    expect(await written([stage.gate], { since: '2026-03-01' })).toBe(
      'No kernel of gate c9s stood in c9s-gate, c9s-candidate since then.\n',
    );
  });
  test('measures by what it let through itself, where nothing came into a pass tag yet', async () => {
    await pass();
    const gate: Gate = { ...stage.gate, on_pass: { tag: ['c9s-frozen'], untag: [] } };
    const { kernels } = await told(gate);
    expect(kernels.map(({ nvr, verdict }) => `${nvr} ${verdict}`)).toEqual([
      `${SAME} promote`,
      `${NEW} block`,
      `${LATER} block`,
      `${MENDED} promote`,
      `${AGAIN} block`,
    ]);
    expect(kernels[1]?.reasons[0]).toContain(`it loads into ${SAME} as it is`);
  });
  test('has a kernel that never stood before the gate', async () => {
    await pass();
    stage.world.completeKernel(NEWEST, { tag: 'c9s-candidate' });
    const { kernels } = await told();
    expect(kernels.at(-1)).toMatchObject({
      nvr: NEWEST,
      tag: 'c9s-candidate',
      verdict: 'promote',
      became: { how: 'passed', tag: 'c9s-candidate', by: 'kojiadmin' },
    });
  });
  test('is of one gate: which, must be said where there are several', async () => {
    await pass();
    const gates = [stage.gate, { ...stage.gate, name: 'other' }];
    await expect(written(gates)).rejects.toThrow(
      new CheckError('the configuration has several gates: name one of c9s, other with --gate'),
    );
    await expect(written(gates, { gate: 'none' })).rejects.toThrow(
      /^--gate none: .* no such gate, but c9s, other$/,
    );
    await expect(written(gates, { gate: 'other', since: 'long ago' })).rejects.toThrow(CheckError);
    expect(JSON.parse(await written(gates, { gate: 'other', json: true }))).toMatchObject({ gate: 'other' });
  });
  test('needs tags that the hub knows', async () => {
    await pass();
    const wrong = { ...stage.gate, kmods: { ...stage.gate.kmods, tag: 'nowhere' } };
    await expect(written([wrong])).rejects.toThrow(/nowhere/);
  });
});

describe('files that are gone', () => {
  const remove = (nvr: string) => {
    for (const tag of stage.world.tags(nvr)) stage.world.as('kojiadmin').untagBuild(tag, nvr);
    stage.world.as('kojiadmin').call('deleteBuild', nvr);
  };

  test('of a kernel: nothing is known of it, and all of the others', async () => {
    await pass();
    const before = await told();
    rmSync(file());
    remove(NEW);
    const { kernels, summary } = await told();
    const [row] = kernels.filter(({ nvr }) => nvr === NEW);
    expect(row).toMatchObject({ verdict: 'unknown', missing: ['kmod-alpha', 'kmod-beta', 'kmod-gamma'] });
    expect(row?.unread[0]).toMatch(/the hub has no file of kernel-.*6\.1\.176-50\.el9/);
    const others = (rows: Row[]) =>
      rows.filter(({ nvr }) => nvr !== NEW).map(({ nvr, verdict }) => `${nvr} ${verdict}`);
    expect(others(kernels)).toEqual(others(before.kernels));
    expect(summary).toMatchObject({ unknown: 1, undecided: 0 });
    expect(await written([stage.gate])).toMatch(
      /unknown .*cannot be told of kmod-alpha, kmod-beta, kmod-gamma: getRPMHeaders: the hub has no file/,
    );
  });
  test('of a kmod: it is not judged by an older build, and where it would decide nothing is', async () => {
    await pass();
    rmSync(file(), { force: true });
    remove(NEW_BETA);
    const { kernels } = await told();
    expect(kernels.map(({ nvr, verdict }) => `${nvr} ${verdict}`)).toEqual([
      `${SAME} promote`,
      `${NEW} block`,
      // kmod-gamma blocks it, whatever kmod-beta would have done.
      `${LATER} block`,
      `${MENDED} unknown`,
      `${AGAIN} unknown`,
    ]);
    expect(kernels[3]?.missing).toEqual(['kmod-beta']);
  });
  test('of a kmod whose like may pass: that is no word for it', async () => {
    await pass();
    remove(NEW_BETA);
    const { kernels } = await told({
      ...stage.gate,
      policy: { ...stage.gate.policy, inconclusive: 'pass' },
    });
    expect(kernels.map(({ verdict }) => verdict)).toEqual([
      'promote',
      'block',
      'block',
      'unknown',
      'unknown',
    ]);
  });
  test('of the only baseline: who broke it is not known', async () => {
    await pass();
    remove(OLD);
    remove(SAME);
    const { kernels } = await told();
    expect(kernels[0]).toMatchObject({ nvr: SAME, verdict: 'unknown' });
    expect(kernels[1]).toMatchObject({ nvr: NEW, verdict: 'unknown', missing: ['kmod-beta', 'kmod-gamma'] });
  });
  test('of the baseline of a stablelist: whether it was kept is not known', async () => {
    await pass();
    remove(OLD);
    const gate: Gate = {
      ...stage.gate,
      kmods: { ...stage.gate.kmods, include: ['kmod-alpha'] },
      stablelist: { effect: 'block', symbols: { '*': ['seq_printf'] } },
    };
    const { kernels } = await told(gate);
    expect(kernels[0]).toMatchObject({ verdict: 'unknown', missing: ['stablelist'] });
    expect(kernels[1]).toMatchObject({ nvr: NEW, verdict: 'block' });
  });
});

describe('the hub', () => {
  const READS = new Set(['queryHistory', 'listTagged', 'listBuildRPMs', 'getRPMHeaders', 'getBuild']);
  const asked = () =>
    stage.server.requests.flatMap(({ method, inner }) => (inner.length > 0 ? inner : method));
  const headers = () => asked().filter((method) => method === 'getRPMHeaders').length;

  test('is only read, by nobody, and in few requests', async () => {
    await pass();
    const { state } = stage.world;
    const before = JSON.stringify([state.listings, state.tasks, state.sessions, state.events]);
    await written([stage.gate]);
    expect(asked().filter((method) => !READS.has(method))).toEqual([]);
    expect(JSON.stringify([state.listings, state.tasks, state.sessions, state.events])).toBe(before);
    expect(new Set(stage.server.requests.map(({ method }) => method))).toEqual(new Set(['multiCall']));
  });
  test('is asked for no header twice, and the second time for little', async () => {
    await pass();
    const first = await written([stage.gate]);
    const [requests, read] = [stage.server.requests.length, headers()];
    expect(read).toBeGreaterThan(0);
    expect(await written([stage.gate])).toBe(first);
    expect(headers()).toBe(read);
    // Histories, what is listed of all kernels, of a kernel that is in no tag of a pass any more, and of kmods.
    expect(stage.server.requests.length - requests).toBeLessThan(10);
  });
  test('goes away: started again, the backtest goes on where it was', async () => {
    await pass();
    const whole = await told();
    rmSync(file());
    const hub = connectHub({ server: stage.server.url, authtype: 'noauth', timeout: 5_000 });
    const seen: string[] = [];
    const going = (requests: number): Pick<Hub, 'read' | 'readAll'> => {
      let left = requests;
      const readAll = async (calls: readonly Call<unknown>[]): Promise<Answer<unknown>[]> => {
        if (left-- <= 0) throw new HubError('unavailable', 'multiCall', 'the hub is away');
        seen.push(
          ...calls
            .filter(({ method }) => method === 'getRPMHeaders')
            .map(({ params }) => JSON.stringify(params)),
        );
        return hub.readAll([...calls]);
      };
      return { read: hub.read, readAll: readAll as Hub['readAll'] };
    };
    const since = Date.parse(SINCE);
    let rows: Awaited<ReturnType<typeof backtest>> | undefined;
    for (let tries = 0; !rows && tries < 50; tries++) {
      const store = await openStore(`sqlite:${file()}`, { mode: 'write', hub: stage.server.url });
      rows = await backtest({ hub: going(10), store }, stage.gate, since).catch((error: unknown) => {
        expect(error).toBeInstanceOf(HubError);
        return undefined;
      });
      await store.close();
    }
    await hub.close();
    expect(rows?.map(({ foretold }) => foretold.verdict)).toEqual(
      whole.kernels.map(({ verdict }) => verdict),
    );
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.length).toBe(new Set(seen).size);
  });
  test('^C, and the program goes on the next time', async () => {
    await pass();
    const config = join(folder, 'gate.toml');
    const text = gateConfig(stage.server.url, folder).replace('[[gate]]', '[[gate]]\nstrategy = "symbols"');
    writeFileSync(config, text.replace(/\[gate\.build\]\ntarget = .*\n/, ''));
    const args = ['backtest', '--config', config, '--since', SINCE, '--json'];
    const cache = { env: { XDG_CACHE_HOME: join(folder, 'cache') } };
    const first = start(args, cache);
    while (headers() === 0) await new Promise(setImmediate);
    first.child.kill('SIGINT');
    await first.ended;
    const second = await start(args, cache).ended;
    expect(second).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(second.stdout)).toEqual(JSON.parse(await written([stage.gate], { json: true })));
    const third = await start(args, cache).ended;
    expect(third.stdout).toBe(second.stdout);
  });
});
