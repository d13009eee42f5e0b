/**
 * The gate's own clock, by which facts are timed: it goes as time does. Where somebody sets the machine's clock, a hold, a
 * pause or a run lasts as long as it would have, and only what people say by the calendar moves with the machine.
 */
import { uptime } from 'node:os';
import type { Store } from './store.ts';

/** What the clock of a machine shows, and how time passes there; both in ms. */
export interface Machine {
  /** Since the epoch. Somebody may set it. */
  wall(): number;
  /** Since any moment: at the speed of time, also while the machine is suspended. */
  passed(): number;
}

export interface GateClock {
  /** Milliseconds since the epoch as the gate counts: never back, and never faster than time. */
  now(): number;
  /** How far the machine's clock is ahead of that, in ms; negative where it is behind. */
  ahead(): number;
}

/** Differences below this are the machine's clock being put right bit by bit, in ms. */
const JUMP = 10_000;

/**
 * @param known time of the newest fact in the store, and how far the machine's clock was ahead when it was last noted. What
 * passed since is read from the machine's clock, but never less than nothing
 */
export function gateClock(
  machine: Machine,
  known: { readonly newest: number; readonly ahead: number },
): GateClock {
  const began = Math.max(machine.wall() - known.ahead, known.newest + 1);
  const start = machine.passed();
  const now = () => Math.round(began + machine.passed() - start);
  return { now, ahead: () => machine.wall() - now() };
}

/** What a store knows of its gate's clock. */
export const knownOf = async (store: Pick<Store, 'newest' | 'ahead'>) => ({
  newest: await store.newest(),
  ahead: await store.ahead(),
});

/**
 * The time by which a command beside a gate says something: after all that is in the store.
 * @param wall what the machine's clock shows
 */
export async function timeBeside(store: Pick<Store, 'newest' | 'ahead'>, wall: number): Promise<number> {
  const { newest, ahead } = await knownOf(store);
  return Math.max(wall - ahead, newest + 1);
}

/** @returns notes in the store where the machine's clock has jumped; by how much since the last note, in ms, or 0 */
export function clockNotes(
  clock: GateClock,
  store: Pick<Store, 'ahead' | 'noteAhead'>,
): () => Promise<number> {
  let noted: number | undefined;
  return async () => {
    noted ??= await store.ahead();
    const ahead = clock.ahead();
    const jump = ahead - noted;
    if (Math.abs(jump) < JUMP) return 0;
    await store.noteAhead(ahead, clock.now());
    noted = ahead;
    return jump;
  };
}

/** The machine that this runs on. */
export function thisMachine(): Machine {
  const up = () => uptime() * 1_000;
  const [begun, since] = [up(), performance.now()];
  let suspended = 0;
  return {
    wall: Date.now,
    passed() {
      const running = performance.now() - since;
      // The time since the machine was started counts while it is suspended, and has no more than seconds on some systems.
      const more = up() - begun - running - suspended;
      if (more >= JUMP) suspended += more;
      return running + suspended;
    },
  };
}
