/** The checker beside a play: it is told the facts that are new, and all that the hub holds. */
import type { World } from '../../src/sim/world.ts';
import { type Checker, createChecker, type Violation } from './checker.ts';
import { GATE_USER } from './draw.ts';
import type { Watched, Watcher } from './play.ts';

export function watch({
  gates,
  unreadable,
  store,
  entries: journal,
  clock = (at) => at,
  others,
}: Watched): Watcher {
  const checker = createChecker({
    gates,
    gateUser: GATE_USER,
    installation: () => store.installation,
    unreadable,
    ...(others && { others }),
  });
  let told = 0;
  const look = async (which: keyof Checker, { state, now }: World): Promise<string[]> => {
    const names = new Set(journal.slice(told).flatMap(({ run }) => run ?? []));
    told = journal.length;
    const runs = await Promise.all([...names].map((id) => store.run(id)));
    const view = { state, runs: runs.filter((run) => run !== undefined), journal, now: clock(now()), clock };
    return checker[which](view).map(inWords);
  };
  return { check: (world) => look('check', world), final: (world) => look('final', world) };
}

const inWords = ({ promise, text }: Violation): string => `${promise}: ${text}`;
