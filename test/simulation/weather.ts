/** Draws what goes wrong, while the storm lasts. */
import type { Drawn } from './draw.ts';
import { drawJump } from './happenings.ts';
import { MISHAPS, type Mishap } from './network.ts';
import type { Random } from './random.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export interface Weather {
  readonly int: Random['int'];
  readonly next: Random['next'];
  /** What happens to a request. */
  request(): Mishap | undefined;
  /** Of so many calls in a group the one that a fault is for; undefined: all of them. */
  struck(calls: number): number | undefined;
  /** How long each copy of a message is under way, in ms; and how long something that is none. */
  message(): { readonly copies: readonly number[]; readonly garbage?: number };
  /** Whether a write to the store fails. */
  storeFails(): boolean;
  /** Whether the process is killed here. */
  kills(): boolean;
  /** How far the clock was set while no process ran, in ms. */
  jump(): number;
  /** How often it struck, that which was spared too. */
  readonly count: () => number;
}

export interface Sky {
  /** In ms, since the play began. */
  readonly elapsed: () => number;
  readonly strike: (what: string) => void;
  /** Of all that would strike, by number, what does not. */
  readonly spared: ReadonlySet<number>;
}

export function createWeather(
  { weather, stormEnds }: Pick<Drawn, 'weather' | 'stormEnds'>,
  random: Random,
  sky: Sky,
): Weather {
  let count = 0;
  /** A fault that is spared draws the same numbers, so that nothing else changes by that. */
  const strikes = <T>(probability: number, draw: () => T, name: (drawn: T) => string): T | undefined => {
    if (sky.elapsed() >= stormEnds || !random.chance(probability)) return undefined;
    const drawn = draw();
    count += 1;
    if (sky.spared.has(count)) return undefined;
    sky.strike(name(drawn));
    return drawn;
  };
  return {
    int: random.int,
    next: random.next,
    count: () => count,
    request: () =>
      strikes(
        weather.request,
        () => random.pick(MISHAPS),
        (mishap) => `request ${mishap}`,
      ),
    struck: (calls) => (calls > 1 && random.chance(0.7) ? random.int(0, calls - 1) : undefined),
    message() {
      const kinds = ['lost', 'lost', 'repeated', 'late', 'garbage'] as const;
      const kind = strikes(
        weather.message,
        () => random.pick(kinds),
        (of) => `message ${of}`,
      );
      if (kind === 'lost') return { copies: [] };
      if (kind === 'repeated') return { copies: [0, random.int(0, MINUTE), random.int(0, HOUR)] };
      if (kind === 'late') return { copies: [random.int(MINUTE, 5 * HOUR)] };
      const copies = [random.int(0, 2_000)];
      return kind === 'garbage' ? { copies, garbage: random.int(0, HOUR) } : { copies };
    },
    storeFails: () =>
      strikes(
        weather.store,
        () => true,
        () => 'write to the store fails',
      ) ?? false,
    kills: () =>
      strikes(
        weather.kill,
        () => true,
        () => 'killed between two steps',
      ) ?? false,
    jump: () =>
      strikes(
        weather.clock,
        () => drawJump(random),
        () => 'clock set while no process runs',
      ) ?? 0,
  };
}
