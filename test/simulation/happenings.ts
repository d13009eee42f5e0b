/** Draws what happens and when, and how rough it gets. */
import { type Cast, type Happening, HOUR, MINUTE, TROUBLES, type Trouble, type Weather } from './draw.ts';
import type { Random } from './random.ts';

export function drawWeather(random: Random): Weather {
  if (random.chance(0.1)) return { request: 0, message: 0, store: 0, kill: 0, clock: 0 };
  const some = (most: number) => (random.chance(0.5) ? random.next() * most : 0);
  return {
    request: some(0.15),
    message: some(0.9),
    store: some(0.03),
    kill: some(0.01),
    clock: random.chance(0.2) ? random.next() : 0,
  };
}

/** How far a clock is set: by a second, by an hour as with a wrong time zone, or by most of a day. */
export function drawJump(random: Random): number {
  const most = random.pick([2_000, 5 * MINUTE, HOUR, 20 * HOUR]);
  return (random.chance(0.5) ? 1 : -1) * random.int(1, most);
}

interface Plan extends Pick<Cast, 'kernels' | 'kmods' | 'gates'> {
  readonly stormEnds: number;
  readonly rough: Weather;
}

export function drawHappenings(
  random: Random,
  { kernels, kmods, gates, stormEnds, rough }: Plan,
): Happening[] {
  const when = () => random.int(0, stormEnds);
  const comes = kernels.filter(({ built }) => !built);
  // Mostly in the order of their versions; a late one is older than what stands there.
  const times = comes.map(when).toSorted((a, b) => a - b);
  const order = random.chance(0.8) ? comes : comes.toReversed();
  const beside = gates.some(({ watch }) => watch === 'gate2');
  const happenings: Happening[] = order.flatMap(({ nvr }, i): Happening[] => {
    const at = times[i] ?? 0;
    const comes: Happening = { at, what: { kind: 'kernel', nvr, tag: 'gate' } };
    const later = Math.min(stormEnds, at + (random.chance(0.3) ? 0 : random.int(1, 6 * 60) * MINUTE));
    const also: Happening = { at: later, what: { kind: 'enter', nvr, tag: 'gate2' } };
    const draft = nvr.includes(',draft_') && random.chance(0.8);
    const promoted: Happening = {
      at: Math.min(stormEnds, at + random.int(0, 180) * MINUTE),
      what: { kind: 'promote-draft', nvr },
    };
    return [comes, ...(beside ? [also] : []), ...(draft ? [promoted] : [])];
  });
  // One that is blocked may pass for now: what comes later may not, for the same reason.
  if (random.chance(0.35) && order.length > 1) {
    const i = random.int(0, order.length - 2);
    const [at, next] = [times[i] ?? 0, times[i + 1] ?? stormEnds];
    happenings.push({
      at: Math.min(stormEnds, at + random.int(0, 60) * MINUTE),
      what: {
        kind: 'waive',
        nvr: random.chance(0.7) ? (order[i]?.nvr ?? '') : 'kernel-*',
        kmod: random.pick(['kmod-*', ...kmods.map(({ name }) => name)]),
        until: Math.max(10 * MINUTE, random.chance(0.7) ? next - at : random.int(1, 600) * MINUTE),
      },
    });
  }
  if (random.chance(0.2)) {
    const at = when();
    happenings.push({ at, what: { kind: 'release' } });
    // Who says after it that all kernels may pass hardly means those that are older than what was released.
    const late = Math.min(stormEnds, at + random.int(1, 60) * MINUTE);
    const kmod = random.pick(['kmod-*', ...kmods.map(({ name }) => name)]);
    if (random.chance(0.4))
      happenings.push({ at: late, what: { kind: 'waive', nvr: 'kernel-*', kmod, until: 10 * HOUR } });
  }
  const persons = random.chance(0.7) ? random.int(1, 10) : 0;
  for (let i = 0; i < persons; i++) {
    // Mostly when something goes on.
    const at = random.chance(0.7) ? (times[i % times.length] ?? 0) + random.int(0, 40) * MINUTE : when();
    happenings.push({ at: Math.min(at, stormEnds), what: { kind: 'person' } });
  }
  const rage = rough.request + rough.message + rough.store + rough.kill > 0;
  for (let i = rage ? random.int(0, 3) : 0; i > 0; i--) {
    const at = when();
    const until = Math.min(stormEnds, at + random.int(1, 90) * MINUTE);
    const kind = random.pick(Object.keys(TROUBLES) as Trouble[]);
    happenings.push({ at, what: { kind } }, { at: until, what: { kind: TROUBLES[kind] } });
  }
  for (let i = rage ? random.int(0, 2) : 0; i > 0; i--) {
    const kind = random.pick(['expire', 'restart-hub', 'restart-builders', 'kill'] as const);
    happenings.push({ at: when(), what: { kind } });
  }
  if (rough.clock > 0 && random.chance(0.5))
    happenings.push({ at: when(), what: { kind: 'set-clock', by: drawJump(random) } });
  return happenings.toSorted((a, b) => a.at - b.at);
}
