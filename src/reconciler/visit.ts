/** Where hints and the sweep lead to: which runs want a look. */
import type { Gate } from '../core/model.ts';
import { isDraft } from '../core/names.ts';
import { reopens } from '../core/verdict.ts';
import * as koji from '../koji/calls.ts';
import { unwrap } from '../koji/hub.ts';
import { wantCauses } from './causes.ts';
import type { Context } from './context.ts';
import { buildKey, PEOPLE, runKey, tagKey } from './keys.ts';
import { isWantedAgain } from './look.ts';

export type Visits = ReturnType<typeof createVisits>;

/** How many strangers are remembered. */
const REMEMBERED = 10_000;

export function createVisits(context: Context) {
  const { gates, hub, store, now, want, buildTags } = context;
  /** Builds of packages that are no gate's business, which a busy hub sends many messages about. */
  const strangers = new Set<number>();
  /** Runs that a waiver speaks of and may open again yet, and the number of the last one that was read. */
  const waived = new Map<string, { readonly run: string; readonly gate: string; readonly build: number }>();
  let heard = 0;
  const watched = new Set(gates.map(({ watch }) => watch));

  const wantLive = async (gate?: string) => {
    for (const run of await store.liveKernels(gate)) want(runKey(run.gate, run.kernel.id));
  };

  return {
    isStranger: (build: number): boolean => strangers.has(build),
    isWatched: (tag: string): boolean => watched.has(tag) || [...buildTags.values()].includes(tag),

    /** All that any lost message would have told. */
    async sweep(): Promise<void> {
      want(PEOPLE);
      wantCauses(context);
      for (const tag of watched) want(tagKey(tag));
      await wantLive();
    },

    /** What persons said: every live run wants a look, and those that a waiver may open again. */
    async people(): Promise<void> {
      await wantLive();
      for (const { seq, ...run } of await store.runsWaived(heard)) {
        heard = seq;
        waived.set(run.run, run);
      }
      for (const { run: id, gate: name, build } of waived.values()) {
        const gate = gates.find((one) => one.name === name);
        const run = await store.latestRun(name, build);
        if (!gate || run?.id !== id) waived.delete(id);
        // Whether it is a draft yet, and so has the name that a waiver speaks of, the hub is asked.
        else if (isDraft(run.kernel)) want(buildKey(build));
        // A live run heeds it by itself, until it ends; the hub is only asked about those that a waiver really opens again.
        else if (run.closing && reopens(gate, run, now()) === undefined) waived.delete(id);
        else if (run.closing) want(runKey(name, build));
      }
    },

    /** Kernels in a watched tag want a look, and live runs when the build tag changed that they build in. */
    async tag(name: string): Promise<void> {
      for (const gate of gates.filter(({ watch }) => watch === name)) await visitWatched(gate);
      for (const gate of gates.filter((one) => buildTags.get(one.name) === name)) await wantLive(gate.name);
    },

    /** What a build is about; strangers are remembered. */
    async build(id: number): Promise<void> {
      if (strangers.has(id)) return;
      const known = await store.kernel(id);
      const build = known ?? (await hub.read(koji.getBuild(id)));
      if (!build) return;
      const concerned = gates.filter(({ kernels }) => kernels.includes(build.name));
      for (const { name } of concerned) want(runKey(name, id));
      if (concerned.length === 0 && !known) remember(strangers, id);
    },
  };

  /** A kernel that is decided costs nothing but its line in the listing. */
  async function visitWatched(gate: Gate): Promise<void> {
    const answers = await hub.readAll(
      gate.kernels.map((kernel) => koji.listTagged(gate.watch, { package: kernel })),
    );
    for (const { build_id: id, create_event: entry } of answers.flatMap(unwrap)) {
      const run = await store.latestRun(gate.name, id);
      const isOver = run?.closing && entry <= run.entry;
      if (!run || !isOver || (await isWantedAgain(context, gate, run))) want(runKey(gate.name, id));
    }
  }
}

/** Add to a set of bounded size; the oldest goes first. */
function remember(ids: Set<number>, id: number): void {
  ids.add(id);
  for (const oldest of ids) {
    if (ids.size <= REMEMBERED) break;
    ids.delete(oldest);
  }
}
