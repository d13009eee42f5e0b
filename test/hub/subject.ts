/** What the acceptance suite is about: a hub, and how much may be done to it. */
import type { KojiSettings, SweepSettings } from '../../src/config/config.ts';
import type { Gate } from '../../src/core/model.ts';

/** Plain data, so that the launcher can hand it to the tests. */
export interface Subject {
  /** The hub, and who logs in. */
  readonly koji: KojiSettings;
  /** Whose tags and target are looked at. Without it the hub's own newest kernels and builds will do. */
  readonly gate?: Gate;
  /** Take a kernel through a whole run of the gate; without it nothing on the hub changes but sessions. */
  readonly write?: GateRun;
  /** The hub was made for this suite: what it lacks is a failure, where another hub's tests are skipped. */
  readonly complete?: true;
}

export interface GateRun {
  /** How often the gate looks at the hub. */
  readonly sweep: SweepSettings;
  /** How long the run may take, in ms. */
  readonly patience: number;
}

/** How a test says that it cannot be made: vitest's `skip`. */
type Skip = (reason?: string) => never;

/** Something that a test needs, if the hub has it; else the test is skipped, and says what is lacking. */
export type Need = <T>(skip: Skip, thing: T | undefined, lack: string) => T;

/** The `Need` of a subject. */
export function needing({ complete }: Subject): Need {
  return (skip, thing, lack) => {
    if (thing !== undefined) return thing;
    if (complete) throw new Error(`the suite's own hub must not lack it: ${lack}`);
    return skip(lack);
  };
}
