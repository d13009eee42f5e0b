/** A run that has just begun, and what symbols show of it. */
import type { ArchDetail, Run, SymbolsShown, Write } from '../../src/core/model.ts';
import type { Store } from '../../src/store/store.ts';
import { KERNEL, kmod } from '../core/facts.ts';

export const BEGUN = {
  id: 'c9s/30/1',
  gate: 'c9s',
  kernel: KERNEL,
  generation: 1,
  entry: 7,
  tags: ['gate'],
  kmods: [kmod('kmod-a')],
  startedAt: 1_000,
  strategy: 'rebuild' as const,
  baseline: null,
};
export const BUILD: Extract<Write, { kind: 'scratch-build' }> = {
  kind: 'scratch-build',
  kmod: 'kmod-a',
  source: 's',
  target: 't',
  priority: 5,
};

export async function begin(store: Store): Promise<Run> {
  await store.seeKernel(KERNEL, 900);
  await store.beginRun(BEGUN);
  return (await store.run(BEGUN.id)) as Run;
}

/** What symbols show of kmod-a: five changed, none gone. */
const CHANGED = ['a', 'b', 'c', 'd', 'e'].map((symbol, i) => ({
  symbol,
  required: i,
  provided: 9,
  provider: 'kernel-core',
}));
const DETAIL: ArchDetail = {
  arch: 'x86_64',
  imports: 40,
  missing: [],
  changed: CHANGED,
  fromKmods: [{ symbol: 'o_get', crc: 1, provider: 'kmod-o' }],
  fromBroken: [],
  answer: 'incompatible',
  cause: null,
  before: 'compatible',
};
export const SHOWN: SymbolsShown<ArchDetail> = {
  kmods: [{ kmod: 'kmod-a', needs: ['kmod-o'], arches: [DETAIL] }],
  change: null,
  stablelist: 'warn',
};
/** The same as a run has it. */
export const BRIEF: SymbolsShown = {
  ...SHOWN,
  kmods: [
    {
      kmod: 'kmod-a',
      needs: ['kmod-o'],
      arches: [
        {
          arch: 'x86_64',
          imports: 40,
          missing: { count: 0, first: [] },
          changed: { count: 5, first: CHANGED.slice(0, 3) },
          fromBroken: { count: 0, first: [] },
          answer: 'incompatible',
          cause: null,
          before: 'compatible',
        },
      ],
    },
  ],
};
