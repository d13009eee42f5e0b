/** A Koji with a past: kernels and kmods that came and went while a gate, or nobody, looked on. */
import type { Gate } from '../../src/core/model.ts';
import { type Kernel, type Kmod, type Scenario, splitNvr } from '../../src/sim/scenario.ts';
import { GATE, NEW, OLD, type Stage } from '../scenarios/stage.ts';

export const SAME = 'kernel-6.1.171-48.el9';
export const LATER = 'kernel-6.1.187-53.el9';
export const MENDED = 'kernel-6.1.192-55.el9';
export const AGAIN = 'kernel-6.1.195-57.el9';
/** Comes by itself, if at all. */
export const NEWEST = 'kernel-6.1.199-60.el9';
export const NEW_BETA = 'kmod-beta-2.2-1.el9';
export const NEW_GAMMA = 'kmod-gamma-0.9-1.el9';

export const BY_SYMBOLS: Partial<Gate> = { strategy: 'symbols', build: null };

const must = <T>(found: T | undefined): T => {
  if (!found) throw new Error('not in the scenario');
  return found;
};

/**
 * SAME exports what OLD does; NEW, LATER, MENDED and NEWEST another seq_printf and no pci_clear_master; AGAIN yet another seq_printf.
 * NEW_BETA is built for the second seq_printf, NEW_GAMMA does without pci_clear_master.
 */
export function withPast(small: Scenario): Scenario {
  const kernel = (nvr: string, like: string, change: Readonly<Record<string, string>> = {}): Kernel => {
    const model = must(small.kernels.find((one) => one.nvr === like));
    const symbols = model.symbols.map((symbol) => ({ ...symbol, crc: change[symbol.name] ?? symbol.crc }));
    return { ...model, ...splitNvr(nvr), symbols, tags: [], built: false };
  };
  const kmod = (nvr: string, imports: (before: Kmod['imports']) => Kmod['imports']): Kmod => {
    const before = must(small.kmods.find(({ name }) => name === splitNvr(nvr).name));
    return { ...before, ...splitNvr(nvr), imports: imports(before.imports), tags: [] };
  };
  return {
    ...small,
    kernels: [
      ...small.kernels,
      kernel(SAME, OLD),
      kernel(LATER, NEW),
      kernel(MENDED, NEW),
      kernel(AGAIN, NEW, { seq_printf: '0x00000003' }),
      kernel(NEWEST, NEW),
    ],
    kmods: [
      ...small.kmods,
      kmod(NEW_BETA, (imports) =>
        imports.map((one) => (one.name === 'seq_printf' ? { ...one, crc: '0x2529ebe1' } : one)),
      ),
      kmod(NEW_GAMMA, (imports) => imports.filter(({ name }) => name !== 'pci_clear_master')),
    ],
  };
}

/**
 * The kernels come, and with them new kmods. A release empties the tag of a pass after SAME. A person lets NEW through, whatever the gate says; where a gate only looks on,
 * people pass SAME and MENDED, and block LATER.
 * @param seen waits until the gate, if there is one, has done with a kernel
 */
export async function happen(stage: Stage, seen: (nvr: string) => Promise<unknown>): Promise<void> {
  const manager = stage.world.as('release-manager');
  const admin = stage.world.as('kojiadmin');
  const comes = async (nvr: string, then?: string) => {
    stage.world.completeKernel(nvr, { tag: GATE.watch });
    await seen(nvr);
    stage.world.tick(DAY);
    const [from] = stage.world.tags(nvr);
    if (then !== undefined && from !== undefined && from !== then) manager.moveBuild(from, then, nvr);
    stage.world.tick(DAY);
  };
  stage.world.tick(DAY);
  await comes(SAME, 'c9s-candidate');
  for (const nvr of [OLD, SAME]) admin.untagBuild('c9s-candidate', nvr);
  admin.tagBuild('c9s-build', SAME);
  await comes(NEW, 'c9s-candidate');
  manager.tagBuild('kmods9s-release', NEW_BETA);
  await comes(LATER, 'c9s-blocked');
  manager.tagBuild('kmods9s-release', NEW_GAMMA);
  await comes(MENDED, 'c9s-candidate');
  await comes(AGAIN);
}

const DAY = 24 * 3_600_000;
