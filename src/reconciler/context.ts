/** What the reconciler's parts work with. */
import type { Gate } from '../core/model.ts';
import type { Hub } from '../koji/hub.ts';
import type { Store } from '../store/store.ts';

export interface Context {
  readonly gates: readonly Gate[];
  readonly hub: Hub;
  /** Its reads, for what every look asks: those that looks ask for at the same time go in one request. */
  readonly together: Pick<Hub, 'readAll'>;
  readonly store: Store;
  /** Milliseconds since the epoch, by the gate's clock. */
  readonly now: () => number;
  /** How far the machine's clock is ahead of that, in ms. */
  readonly ahead: () => number;
  /** Id of the hub's user that the gate is logged in as. */
  readonly user: () => Promise<number>;
  /** In ms: between looks at running tasks, and for a write without an answer to arrive. */
  readonly pace: { readonly poll: number; readonly settle: number };
  /** Ask for a key, now or at a time (ms): see keys.ts. */
  readonly want: (key: string, due?: number) => void;
  /** The build tag in which each gate builds, as last seen: of all the tags that messages name, these matter. */
  readonly buildTags: Map<string, string>;
  /** What could not be read so far, by key, and why. */
  readonly unread: ReadonlyMap<string, string>;
}
