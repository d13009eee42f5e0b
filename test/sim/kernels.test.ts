/** Kernels in the simulated Koji: drafts, what their builds make, and what of it a kmod asks for. */
import { describe, expect, it } from 'vitest';
import { decode } from '../../src/bus/decode.ts';
import type { XmlStruct } from '../../src/koji/xmlrpc.ts';
import { struct } from '../../src/sim/arguments.ts';
import { busMessage } from '../../src/sim/messages.ts';
import { loadScenario, type Scenario, splitNvr } from '../../src/sim/scenario.ts';
import { TASK, type WorldEvent } from '../../src/sim/state.ts';
import { createWorld, type World } from '../../src/sim/world.ts';

const small = loadScenario(`${import.meta.dirname}/small.toml`);
const OLD = 'kernel-6.1.170-47.el9';
const NEW = 'kernel-6.1.176-50.el9';

/** A scratch build of kmod-alpha in a repo that holds a build; returns the task's id. */
const build = (world: World, awaited: string): number => {
  const opts: XmlStruct = { scratch: true, wait_builds: [awaited], rebuild_srpm: false };
  const src = 'packages/kmod-alpha/1.0/1.el9/src/kmod-alpha-1.0-1.el9.src.rpm';
  return Number(world.as('kmod-gate').call('build', src, 'kmods9s-gate', opts));
};
const stateOf = (world: World, id: number) => world.tasks()[id - 1]?.state;

describe('a draft kernel', () => {
  const draft = { ...splitNvr(`${NEW},draft_5`), tags: [], built: false };
  const scenario: Scenario = {
    ...small,
    kernels: small.kernels.map((kernel) => (kernel.nvr === NEW ? { ...kernel, ...draft } : kernel)),
  };

  it('keeps its id when it is promoted, and nothing answers to its old name', () => {
    const world = createWorld(scenario);
    const heard: WorldEvent[] = [];
    world.onMessage((event) => heard.push(event));
    const id = world.completeKernel(draft.nvr, { tag: 'c9s-gate' });
    const changed = () => world.as('kmod-gate').call('tagLastChangeEvent', 'kmods9s-build');
    const before = Number(changed());
    expect(() => world.as('release-manager').call('promoteBuild', id)).toThrow(
      'policy violation (draft_promotion)',
    );
    const promoted = struct(world.as('kojiadmin').call('promoteBuild', draft.nvr));
    expect(promoted).toMatchObject({ id, nvr: NEW, draft: false, promoter_name: 'kojiadmin' });
    expect(world.build(draft.nvr)).toBeUndefined();
    expect(world.tags(NEW)).toEqual(['c9s-gate']);
    expect(changed()).toBeGreaterThan(before);
    expect(() => world.as('kojiadmin').call('promoteBuild', NEW)).toThrow('Not a draft build');
    const told = heard.at(-1) as WorldEvent;
    const proton = busMessage(told, { family: 'proton' });
    expect(proton && decode(proton)).toMatchObject({ kind: 'hints', hints: [{ kind: 'build', id }] });
    expect(busMessage(told, { family: 'fedora' })).toBeNull();
  });

  it('is built against under its new name, and waited for in vain under the old one', () => {
    const world = createWorld(scenario);
    world.completeKernel(draft.nvr, { tag: 'c9s-gate' });
    world.as('kojiadmin').call('promoteBuild', draft.nvr);
    const [under, gone] = [NEW, draft.nvr].map((nvr) => build(world, nvr));
    world.tick(3 * 3_600_000);
    expect(stateOf(world, under ?? 0)).toBe(TASK.CLOSED);
    expect(stateOf(world, gone ?? 0)).toBe(TASK.FAILED);
  });
});

it('a kmod may have more in its build root than the kernel-devel that it pins', () => {
  const others = ['kernel-tools-libs-devel'];
  const world = createWorld({
    ...small,
    kernels: small.kernels.map((kernel) => ({ ...kernel, others })),
    kmods: small.kmods.map((kmod) => ({ ...kmod, pins: OLD, also: ['kernel-devel', ...others] })),
  });
  const id = world.completeKernel(NEW, { tag: 'c9s-gate' });
  build(world, NEW);
  world.tick(600_000);
  const found = world.state.buildroots[0]?.rpms.filter(({ build_id }) => build_id !== null);
  expect(found?.map(({ name, build_id }) => [name, build_id === id])).toEqual([
    ['kernel-devel', false],
    ['kernel-devel', true],
    ['kernel-tools-libs-devel', true],
  ]);
});

it('symbols of a kernel may stand in an rpm of their own', () => {
  const symbol = { name: 'kvm_x', crc: '0x00000001', vmlinux: false, rpm: 'kernel-rt-kvm' };
  const world = createWorld({
    ...small,
    kernels: small.kernels.map((kernel) => ({ ...kernel, variants: { rt: [...kernel.symbols, symbol] } })),
  });
  const having = world.state.rpms.filter(({ provides }) =>
    provides.some(({ name }) => name === 'kernel(kvm_x)'),
  );
  expect(having.map(({ name }) => name)).toEqual(['kernel-rt-kvm']);
});
