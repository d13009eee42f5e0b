/** A store that counts what is recorded of runs, for `/metrics`. */

import { isAttempt, triedAgain } from '../core/trial.ts';
import type { Meters } from '../http/metrics.ts';
import type { Store } from '../store/store.ts';

/** The same store; what it takes in is counted once it is on disk. */
export function countedStore(store: Store, meters: Omit<Meters, 'exchange'>): Store {
  return {
    ...store,
    async intend(run, writes, at, newest) {
      const intents = await store.intend(run, writes, at, newest);
      const before = run.intents.filter(isAttempt).map(({ write }) => write);
      const now = intents.filter(isAttempt).map(({ write }) => write);
      const again = triedAgain([...before, ...now]).length - triedAgain(before).length;
      if (now.length > 0) meters.asked(run.gate, now.length, again);
      return intents;
    },
    async end(run, intent, ending) {
      await store.end(run, intent, ending);
      if (isAttempt(intent)) meters.ended(run.gate, ending.how);
    },
    async judge(run, found, kmods, at) {
      await store.judge(run, found, kmods, at);
      meters.verdict(run.gate, found.verdict);
    },
    async closeRun(run, closing) {
      await store.closeRun(run, closing);
      meters.closed(run.gate, closing.how);
    },
  };
}
