/** What the reconciler's parts work with. */
import type { GreenwaveWord } from '../core/look.ts';
import type { Gate } from '../core/model.ts';
import type { Hub } from '../koji/hub.ts';
import type { Store } from '../store/store.ts';
import type { Gathering } from './follow.ts';
import type { KernelOfBuild } from './rpms.ts';

/** The types (BTF) of a kernel as they are in its vmlinux, or why they cannot be had, on one line. */
export type KernelTypes =
  | { readonly btf: Uint8Array; readonly file: string }
  /** `later`: that may pass. */
  | { readonly btf: null; readonly why: string; readonly later: boolean };

/** Fetches the types of a kernel build for an architecture. */
export type TypesOf = (kernel: KernelOfBuild & { readonly arch: string }) => Promise<KernelTypes>;

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
  /** Absent: there is nowhere to have them from. */
  readonly typesOf?: TypesOf;
  /** What Greenwave says of a kernel (NVR), for a gate that waits for it. Absent: the configuration names none. */
  readonly askGreenwave?: (gate: string, nvr: string) => Promise<GreenwaveWord>;
  /**
   * Asked before each write to the hub, at the last moment; throws where another gate may act by now. Absent: there is no
   * other one.
   */
  readonly permit?: () => void;
  /** When this gate began to act, by its clock: writes of the one before may arrive for a while from then on. */
  readonly began?: number;
  /** Id of the hub's user that the gate is logged in as. */
  readonly user: () => Promise<number>;
  /** In ms: between looks at running tasks, and for a write without an answer to arrive. */
  readonly pace: { readonly poll: number; readonly settle: number };
  /** Ask for a key, now or at a time (ms): see keys.ts. */
  readonly want: (key: string, due?: number) => void;
  /** The build tag in which each gate builds, as last seen: of all the tags that messages name, these matter. */
  readonly buildTags: Map<string, string>;
  readonly gathering: Gathering;
  /** What the hub said last of running tasks: when (ms), and whether that they have ended. */
  readonly polled: Map<number, { readonly at: number; readonly ended: boolean }>;
  /** What could not be read so far, by key, and why. */
  readonly unread: ReadonlyMap<string, string>;
}
