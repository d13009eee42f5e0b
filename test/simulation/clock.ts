/** The clock of the machine that the gate runs on: somebody may set it, while the hub's goes on. */

export interface MachineClock {
  /** What it shows, in ms since the epoch. */
  wall(): number;
  /** Set it so many ms later, or earlier. */
  set(by: number): void;
  /** A clock of the gate's whose readings are remembered. */
  noted(clock: () => number): () => number;
  /** What the gate's clock showed, or would have, at a time of the hub's. */
  gateTime(at: number): number;
}

/** @param now the hub's clock, in ms since the epoch */
export function createMachineClock(now: () => number): MachineClock {
  let skew = 0;
  const read: (readonly [hub: number, gate: number])[] = [];
  const ahead = ([hub, gate]: readonly [number, number]) => gate - hub;
  const remember = (hub: number, gate: number) => {
    // A new process goes on from the newest fact: what the one before has read after that is nowhere recorded.
    let later: (typeof read)[number] | undefined;
    while ((read.at(-1)?.[1] ?? 0) > gate) later = read.pop();
    const kept = read.at(-1);
    if (kept && later && ahead(kept) === ahead(later)) read.push([gate - ahead(kept), gate]);
    const [before, last] = [read.at(-2), read.at(-1)];
    // As long as both go on alike the first and the last reading tell all between.
    if (before && last && ahead(before) === gate - hub && ahead(last) === gate - hub) read.pop();
    read.push([hub, gate]);
  };
  return {
    wall: () => now() + skew,
    set(by) {
      skew += by;
    },
    noted: (clock) => () => {
      const gate = clock();
      remember(now(), gate);
      return gate;
    },
    gateTime(at) {
      const i = read.findLastIndex(([hub]) => hub <= at);
      const [before, after] = [read[i] ?? read[0], read[i + 1]];
      if (!before) return at;
      if (i === -1 || !after || ahead(before) === ahead(after)) return at + ahead(before);
      const passed = (at - before[0]) / (after[0] - before[0]);
      return before[1] + passed * (after[1] - before[1]);
    },
  };
}
