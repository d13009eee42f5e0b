/** In some worlds another instance of the program has the same hub and the same user, and knows nothing of the first. */
import type { Gate } from '../../src/core/model.ts';
import { type Drawn, drawGate, type Happening, MINUTE } from './draw.ts';
import { drawWeather } from './happenings.ts';
import type { Random } from './random.ts';

/** How many of all worlds have one. */
const SHARED = 0.12;
/** Its gate's name is that of the first one's: what tells them apart must be more. */
const NAME = 'g1';

/** An instance: what it is given. */
export type Another = Pick<Drawn, 'gates' | 'pace' | 'weather'>;

export function withAnother(given: Drawn, random: Random): Drawn {
  if (!random.chance(SHARED)) return given;
  const isClose = random.chance(0.6);
  const drawn = isClose ? withSideTags(given, random.fork('close')) : given;
  const { scenario, happenings, stormEnds } = drawn;
  const gate = drawOther(random.fork('gate'), scenario.arches);
  const comes = random.fork('comes');
  const enters = happenings.flatMap(({ at, what }): Happening[] => {
    if (what.kind !== 'kernel' || comes.chance(0.1)) return [];
    const late = isClose || comes.chance(0.4) ? 0 : comes.int(0, 180) * MINUTE;
    return [{ at: Math.min(stormEnds, at + late), what: { kind: 'enter', nvr: what.nvr, tag: 'gate3' } }];
  });
  const [model, passed] = [scenario.tags.find(({ name }) => name === 'pass'), comes.chance(0.8)];
  if (!model) return drawn;
  const tags = ['gate3', 'next3', 'fail3'].map((name) => ({ ...model, name }));
  const builds = {
    ...model,
    name: 'try3-build',
    inherits: ['gate3', 'base', 'kmods'],
    arches: scenario.arches,
  };
  return {
    ...drawn,
    scenario: {
      ...scenario,
      tags: [...scenario.tags, ...tags, builds],
      targets: [...scenario.targets, { name: 'try3', build_tag: 'try3-build', dest_tag: 'try-dest' }],
      kernels: scenario.kernels.map((kernel) =>
        kernel.built && passed ? { ...kernel, tags: [...kernel.tags, 'next3'] } : kernel,
      ),
    },
    // A sort keeps what was drawn in one moment in its order: a kernel is built before it comes before one more gate.
    happenings: [...happenings, ...enters].toSorted((a, b) => a.at - b.at),
    another: isClose
      ? { gates: [sideTagged(gate)], pace: drawn.pace, weather: drawn.weather }
      : { gates: [gate], pace: drawn.pace, weather: drawWeather(random.fork('weather')) },
  };
}

const sideTagged = (gate: Gate): Gate => ({
  ...gate,
  strategy: 'rebuild',
  rebuild: null,
  build: { target: 'try', repo: 'sidetag', priority: 5, max_active: 20 },
});

/** Both make side tags of one base in the same minutes, and many replies are lost. */
const withSideTags = (drawn: Drawn, random: Random): Drawn => ({
  ...drawn,
  gates: drawn.gates.map((gate, i) => (i === 0 ? sideTagged(gate) : gate)),
  weather: { ...drawn.weather, request: 0.25 + 0.2 * random.next(), kill: 0.01 * random.next() },
});

/** Its tags are its own, but its side tags are often of the same base. */
function drawOther(random: Random, arches: readonly string[]): Gate {
  const drawn = drawGate(random, NAME, arches);
  const repo = random.chance(0.7) ? 'sidetag' : (drawn.build?.repo ?? 'wait');
  const target = repo === 'sidetag' && random.chance(0.8) ? 'try' : 'try3';
  return {
    ...drawn,
    mode: 'enforce',
    watch: 'gate3',
    // Kmods may be for fewer than a gate names.
    arches: null,
    kmods: { ...drawn.kmods, arches: {} },
    build: drawn.build && { ...drawn.build, repo, target },
    on_pass: { tag: ['next3'], untag: ['gate3'] },
    on_fail: { tag: ['fail3'], untag: ['gate3'] },
    rebuild: null,
  };
}
