/**
 * Why a kernel breaks kmods, as a running gate finds it: from the types of two real kernels, which a file server has or has
 * not. The small Koji's kernels have the symbols of Debian's 6.1.170 and 6.1.176, and the types here are theirs.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { explain, explanationText } from '../../src/commands/report.ts';
import type { Gate } from '../../src/core/model.ts';
import type { KernelTypes, TypesOf } from '../../src/reconciler/context.ts';
import type { Scenario } from '../../src/sim/scenario.ts';
import { BTF } from '../btf/kernels.ts';
import { all, rule, withRules } from './scenes.ts';
import { GATE, NEW, OLD, type Stage, type StageOptions, setStage } from './stage.ts';

let stage: Stage;
afterEach(async () => stage.end());

const DAY = 24 * 3_600_000;
/** kmod-gamma misses a member that only the newer kernel has. */
const failing = rule({
  ...{ kmod: 'kmod-gamma', kernel: NEW, result: 'fails' },
  log: [
    "/builddir/build/BUILD/kmod-gamma-0.8/gamma.c:7:9: error: 'struct device' has no member named 'flags'",
  ],
});

/** Types of the two kernels, and how often each was asked for. */
function typeServer(answer: (build: number, times: number) => KernelTypes | undefined = () => undefined) {
  const asked = new Map<number, number>();
  const typesOf: TypesOf = async ({ id, arch }) => {
    const times = (asked.get(id) ?? 0) + 1;
    asked.set(id, times);
    expect(arch).toBe('x86_64');
    const version = id === stage.world.build(NEW)?.id ? '6.1.176' : '6.1.170';
    return answer(id, times) ?? { btf: BTF[version], file: `vmlinuz of ${version}` };
  };
  return { asked, typesOf };
}

async function play(gate: Partial<Gate>, options: StageOptions) {
  stage = await setStage({ ...options, gate: { strategy: 'symbols', build: null, ...gate } });
  stage.world.completeKernel(NEW, { tag: GATE.watch });
  return stage.closed(NEW);
}

const reports = () => ({
  store: stage.store,
  gates: [stage.gate],
  links: { task: () => undefined, build: () => undefined },
  now: stage.world.now,
});
/** What is told of NEW once nothing more is wanted. */
async function told() {
  await stage.until('every run is explained', async () => (await stage.store.unexplained()).length === 0);
  const explanation = await explain(reports(), NEW);
  if (!explanation) throw new Error('no explanation');
  const [run] = explanation.runs;
  return {
    causes: run?.causes ?? [],
    text: explanationText({ write: () => {}, colour: false } as never, explanation),
    lines: explanation.journal.filter(({ kind }) => kind === 'causes').map(({ text }) => text),
  };
}

describe('the causes of a blocked kernel', () => {
  test('are declarations that changed, with the kmods that each hits, and how those reach it', async () => {
    const { typesOf } = typeServer();
    const run = await play({}, { typesOf });
    expect(run.verdict?.verdict).toBe('block');
    const { causes, text, lines } = await told();
    expect(causes).toHaveLength(1);
    const [first] = causes;
    if (!first) throw new Error('no causes');
    const { arch, baseline, why, kmods, symbols, causes: found } = first;
    expect({ arch, baseline, why }).toEqual({ arch: 'x86_64', baseline: OLD, why: null });
    // Of the few symbols that the small kernels have.
    expect(symbols).toMatchObject({ changed: 1, functions: 1, explained: 1 });
    const device = found.findIndex(({ kind, name }) => kind === 'struct' && name === 'device');
    expect(found[device]?.members).toContainEqual({
      name: 'flags',
      was: null,
      now: 'unsigned long flags[1]',
    });
    const beta = kmods.find(({ kmod }) => kmod === 'kmod-beta');
    expect(beta).toMatchObject({ changed: 1, way: { symbol: 'seq_printf' } });
    expect(beta?.causes.length).toBeGreaterThan(0);
    expect(kmods.find(({ kmod }) => kmod === 'kmod-alpha')).toMatchObject({
      changed: 0,
      causes: [],
      way: null,
    });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`changed in the source since ${OLD} on x86_64: `);
    expect(lines[0]).toContain('which hits 1 of 3 kmods');
    expect(text).toContain(`What changed in the kernel's source since ${OLD} (x86_64)`);
  });

  test('are told with lines of the changelog that name them, and with what a compiler complains of', async () => {
    const { typesOf } = typeServer();
    const at = Date.UTC(2026, 0, 2) / 1000;
    const old = { at, author: 'Ann', text: '- mm: old (Ann)' };
    const more = '- docs: nothing (Bob)\n- driver core: struct device gets flags (Bob) [RHEL-3]';
    const scenario = (small: Scenario): Scenario => ({
      ...small,
      kernels: small.kernels.map((kernel) => ({
        ...kernel,
        changelog: kernel.nvr === NEW ? [{ at: at + 86_400, author: 'Bob', text: more }, old] : [old],
      })),
    });
    stage = await setStage({
      gate: { strategy: 'rebuild' },
      scenario: all(scenario, withRules(failing)),
      typesOf,
    });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    expect((await stage.closed(NEW)).verdict?.verdict).toBe('block');
    const { causes, text } = await told();
    const message = "'struct device' has no member named 'flags'";
    expect(causes).toMatchObject([
      {
        why: null,
        errors: [{ kmod: 'kmod-gamma', message, was: null, now: expect.stringContaining('flags') }],
        changelog: { lines: 2, gap: null },
      },
    ]);
    expect(causes[0]?.changelog?.candidates[0]?.text).toBe(
      'driver core: struct device gets flags (Bob) [RHEL-3]',
    );
    expect(text).toContain('Of 2 new lines of the changelog these name some of it, and prove nothing:');
    expect(text).toContain(`kmod-gamma: ${message}`);
  });

  test('are told where the hub has no changelog', async () => {
    const { typesOf } = typeServer();
    const scenario = (small: Scenario): Scenario => ({
      ...small,
      hub: { ...small.hub, lacks: [...small.hub.lacks, 'getChangelogEntries'] },
    });
    await play({}, { typesOf, scenario });
    expect((await told()).causes).toMatchObject([
      {
        why: null,
        changelog: { lines: 0, candidates: [], gap: expect.stringContaining('getChangelogEntries') },
      },
    ]);
  });

  test('are looked for behind the verdict: types that never come do not delay it', async () => {
    stage = await setStage({
      gate: { strategy: 'symbols', build: null },
      typesOf: () => new Promise(() => {}),
    });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    await stage.turning('it is decided', async () => (await stage.run(NEW))?.closing);
    expect(await stage.run(NEW)).toMatchObject({ verdict: { verdict: 'block' }, closing: { how: 'done' } });
  });

  test('are asked for once a kernel: the store keeps the types', async () => {
    const { typesOf, asked } = typeServer();
    await play({}, { typesOf });
    await told();
    expect([...asked.values()]).toEqual([1, 1]);
    const before = stage.world.build(OLD)?.id ?? 0;
    const kept = await stage.store.kernelTypes(before, 'x86_64', stage.world.now());
    expect(Buffer.from(kept ?? []).equals(BTF['6.1.170'])).toBe(true);
  });

  test('are looked for once more where something was recorded while they were', async () => {
    const { typesOf } = typeServer();
    const run = await play({}, {});
    const [first] = await stage.store.unexplained();
    await stage.store.showSymbols(
      run,
      { change: null, stablelist: null, ...run.symbols, kmods: await stage.store.symbolDetail(run) },
      stage.world.now(),
    );
    await stage.store.explain(run, [], stage.world.now(), first?.upTo ?? 0);
    expect((await stage.store.unexplained()).map(({ id }) => id)).toEqual([run.id]);
    await stage.restart(undefined, typesOf);
    expect((await told()).causes).toMatchObject([{ why: null }]);
  });

  test('come late where the types could not be had at first', async () => {
    const { typesOf } = typeServer((_, times) =>
      times < 2 ? { btf: null, why: 'HTTP 503', later: true } : undefined,
    );
    await play({}, { typesOf });
    const { causes } = await told();
    expect(causes[0]?.why).toBe(null);
  });

  test('cannot be told for ever where they never come: one line says why', async () => {
    const { typesOf, asked } = typeServer(() => ({ btf: null, why: 'HTTP 503', later: true }));
    await play({}, { typesOf });
    const { causes, lines, text } = await told();
    expect(causes).toMatchObject([{ why: 'HTTP 503', causes: [] }]);
    expect(lines).toEqual([`what changed in the source since ${OLD} cannot be told on x86_64: HTTP 503`]);
    expect(text).toContain('cannot be told: HTTP 503');
    expect(Math.max(...asked.values())).toBeLessThan(6);
  });

  test('are no reason to ask again and again for what is no kernel with types', async () => {
    const { typesOf, asked } = typeServer(() => ({ btf: null, why: 'no BTF in it', later: false }));
    await play({}, { typesOf });
    expect((await told()).causes).toMatchObject([{ why: 'no BTF in it' }]);
    expect(Math.max(...asked.values())).toBe(1);
  });

  test('of types that make no sense are told as such, with file and place', async () => {
    const { typesOf } = typeServer(() => ({ btf: Buffer.from('no types at all'), file: 'vmlinuz' }));
    await play({}, { typesOf });
    expect((await told()).causes[0]?.why).toMatch(/^(vmlinuz|types of build)/);
  });
});

test('a gate whose kmods are fine asks nobody for types', async () => {
  const { typesOf, asked } = typeServer();
  const kmods = { ...GATE.kmods, exclude: ['kmod-beta', 'kmod-gamma'] };
  const run = await play({ kmods }, { typesOf });
  expect(run.verdict?.verdict).toBe('promote');
  expect((await told()).causes).toEqual([]);
  expect(asked.size).toBe(0);
});

test('a gate that was away for long does not go through all that it has ever blocked', async () => {
  const { typesOf, asked } = typeServer();
  await play({}, {});
  expect((await stage.store.unexplained()).length).toBe(1);
  stage.world.tick(8 * DAY);
  await stage.restart(undefined, typesOf);
  expect((await told()).causes).toEqual([]);
  expect(asked.size).toBe(0);
});
