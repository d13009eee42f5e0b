/** What the reconciler's parts work with. */
import type { Gate } from '../core/model.ts';
import type { Hub } from '../koji/hub.ts';
import type { Store } from '../store/store.ts';

export interface Context {
  readonly gates: readonly Gate[];
  readonly hub: Hub;
  readonly store: Store;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Id of the hub's user that the gate is logged in as. */
  readonly user: () => Promise<number>;
  /** How long, in ms, a write without an answer may still be on its way. */
  readonly settle: number;
}
