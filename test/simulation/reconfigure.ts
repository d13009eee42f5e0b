/** Draws how the configuration is changed while runs are open: each time the process stops, and starts again with other gates. */
import type { Gate } from '../../src/core/model.ts';
import { drawPolicy, drawSecond, drawStablelist, type Happening, STRATEGIES } from './draw.ts';
import type { Random } from './random.ts';

/** How many of all worlds have it. */
const CHANGED = 0.25;

interface Given {
  readonly gates: readonly Gate[];
  readonly arches: readonly string[];
  readonly stormEnds: number;
}

/** One change after the other, or back to how it was. */
export function drawReconfigurations(random: Random, { gates, arches, stormEnds }: Given): Happening[] {
  if (!random.chance(CHANGED)) return [];
  const times = Array.from({ length: random.int(1, 4) }, () => random.int(0, stormEnds));
  let now = gates;
  return times
    .toSorted((a, b) => a - b)
    .map((at) => {
      const [text, next] =
        now !== gates && random.chance(0.4) ? ['as before', gates] : drawChange(random, now, arches);
      now = next;
      return { at, what: { kind: 'reconfigure', text, gates: now } };
    });
}

type Change = readonly [text: string, gates: readonly Gate[]];

function drawChange(random: Random, gates: readonly Gate[], arches: readonly string[]): Change {
  const [other] = gates;
  if (!other) return ['as before', gates];
  const gate = random.pick(gates);
  const { kmods, mode, policy } = gate;
  const become = (what: string, change: Partial<Gate>): Change => [
    `gate ${gate.name} has another ${what}`,
    gates.map((one) => (one === gate ? { ...gate, ...change } : one)),
  ];
  const some = () => random.some(['kmod-a', 'kmod-b', 'kmod-c', 'kmod-d'], 0.4);
  return random.pick<() => Change>([
    () => become('mode', { mode: mode === 'observe' ? 'enforce' : 'observe' }),
    () => become('mode', { mode: mode === 'observe' ? 'enforce' : 'observe' }),
    () => become('include', { kmods: { ...kmods, include: ['none-*', ...some()] } }),
    () => become('exclude', { kmods: { ...kmods, exclude: some() } }),
    () => become('advisory', { kmods: { ...kmods, advisory: some() } }),
    () => {
      // Evidence is gathered, and runs end, as before.
      const { inconclusive, unattributed, advisory_limit, supersede, after_hold } = drawPolicy(random);
      const words = { inconclusive, unattributed, advisory_limit, supersede, after_hold };
      return become('policy', { policy: { ...policy, ...words } });
    },
    () => become('strategy', { strategy: random.pick(gate.build ? STRATEGIES : ['symbols']) }),
    () => become('stablelist', { stablelist: gate.stablelist ? null : drawStablelist(random) }),
    () => become('package', { kernels: ['kernel-rt'] }),
    () => [`there is no gate ${gate.name} any more`, gates.filter((one) => one !== gate)],
    () => {
      if (gates.length > 1) return become('mode', { mode: 'observe' });
      const name = other.name === 'g1' ? 'g2' : 'g1';
      return [`there is a gate ${name}`, [...gates, { ...drawSecond(random, arches), name }]];
    },
  ])();
}
