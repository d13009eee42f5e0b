/** What a message is about, as its channel reads it from store and hub when it is sent. */
import type { Run } from '../core/model.ts';
import { type Build, getBuild } from '../koji/calls.ts';
import { type Hub, HubError } from '../koji/hub.ts';
import type { Outgoing, VerdictTold } from '../store/outbox.ts';
import type { Store } from '../store/store.ts';
import { TellError } from './channel.ts';
import { taskOf, WHOLE } from './result.ts';

/** Pages for people. */
export interface Pages {
  /** A kernel's in the dashboard. */
  kernel(build: number): string | undefined;
  /** A task's and a build's in Koji's web interface. */
  task(id: number): string | undefined;
  build(id: number): string | undefined;
  /** What there is always: the hub itself. */
  readonly hub: string;
}

/** Where channels read from. */
export interface Sources {
  readonly store: Store;
  readonly hub: Hub;
  readonly pages: Pages;
  /** How far the machine's clock is ahead of the gate's, ms. */
  readonly ahead: () => number;
}

/** @throws TellError where the store has no such run: nothing can be told of it */
export async function runOf({ store }: Pick<Sources, 'store'>, row: Pick<Outgoing, 'run'>): Promise<Run> {
  const run = await store.run(row.run);
  if (!run) throw new TellError(`there is no run ${row.run}`, { forGood: true });
  return run;
}

export function verdictOf(
  { store }: Pick<Sources, 'store'>,
  row: Pick<Outgoing, 'run' | 'what' | 'fact'>,
): Promise<VerdictTold | undefined> {
  return row.what === 'verdict' ? store.verdictTold(row.run, row.fact) : Promise.resolve(undefined);
}

/** So many builds are remembered: a run has some messages. */
const REMEMBERED = 200;

/** @returns reads a build from the hub, once; null where the hub has it no more. Throws TellError where it does not answer */
export function buildReader(hub: Pick<Hub, 'read'>): (id: number) => Promise<Build | null> {
  const known = new Map<number, Build | null>();
  return async (id) => {
    const before = known.get(id);
    if (before !== undefined) return before;
    const build = await hub.read(getBuild(id)).catch((error: unknown) => {
      if (error instanceof HubError) throw new TellError(`the hub: ${error.message}`, { cause: error });
      throw error;
    });
    if (known.size >= REMEMBERED) known.clear();
    known.set(id, build);
    return build;
  };
}

/** The page of a run, and that of what shows a part of it. */
export function linksOf(pages: Pages, run: Run, part: string): { url: string; log: string } {
  const url = pages.kernel(run.kernel.id) ?? pages.build(run.kernel.id) ?? pages.hub;
  const task = part === WHOLE ? undefined : taskOf(run, part);
  return { url, log: (task !== undefined ? pages.task(task) : undefined) ?? url };
}
