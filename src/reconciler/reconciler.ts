/**
 * Hints and the sweep meet here, in one queue of keys. Working on a key means: see what is true, let `core`
 * decide, record and do what it says, and look again. Whatever was lost is found by looking the next time.
 */
import type { Logger } from 'pino';
import { judgementsOf } from '../core/baseline.ts';
import { decide } from '../core/decide.ts';
import { BUILD, type Gate, type Hint, type KernelBuild, type Run } from '../core/model.ts';
import { isDraft, matcher, releasedNvr } from '../core/names.ts';
import { lastRetry } from '../core/people.ts';
import { newerHead } from '../core/tags.ts';
import { reopens } from '../core/verdict.ts';
import * as koji from '../koji/calls.ts';
import { type Hub, HubError, unwrap } from '../koji/hub.ts';
import { OvertakenError } from '../store/error.ts';
import type { Store } from '../store/store.ts';
import { act } from './act.ts';
import { choose, findBaselineRepo } from './choose.ts';
import type { Context } from './context.ts';
import { observe, passedInto } from './observe.ts';
import { createQueue } from './queue.ts';
import { settle } from './settle.ts';
import { readSymbols } from './symbols.ts';

export interface ReconcilerOptions {
  readonly gates: readonly Gate[];
  /** In ms: between sweeps, between looks at running tasks, and for a write without an answer to arrive. */
  readonly pace: { readonly every: number; readonly poll: number; readonly settle: number };
  readonly hub: Hub;
  readonly store: Store;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** In [0, 1); spreads retries. */
  readonly random: () => number;
}

export interface Reconciler {
  /** Look there soon. Never throws and does no I/O: once it returns, the message may be acknowledged. */
  hint(hint: Hint): void;
  /** Look soon at what a new waiver or order in the store speaks of. */
  hearPeople(): void;
  /**
   * Work on every key that is due. Returns when the next one is (ms). An error only delays its key.
   * @param signal stop after the key in hand
   */
  step(signal?: AbortSignal): Promise<number>;
}

/** How many strangers are remembered. */
const REMEMBERED = 10_000;

/** At most this many looks at one run in a row: each follows something that was done. */
const LOOKS = 20;

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { gates, pace, hub, store, log, now } = options;
  const queue = createQueue(options.random);
  let me: number | undefined;
  const user = async () => {
    me ??= (await hub.write(koji.getLoggedInUser()))?.id;
    if (me !== undefined) return me;
    throw new HubError(
      'refused',
      'getLoggedInUser',
      'the hub does not know who is asking; see authtype in [koji]',
    );
  };
  const context: Context = { gates, hub, store, now, user, settle: pace.settle };
  /** The build tag of each gate's target, as last seen: of all the tags that messages name, these matter. */
  const buildTags = new Map<string, string>();
  /** Builds of packages that are no gate's business, which a busy hub sends many messages about. */
  const strangers = new Set<number>();
  queue.add('sweep', now());

  /** What a key means. Keys are `sweep`, `people`, `tag NAME`, `task ID` and `build ID`. */
  async function work(key: string): Promise<void> {
    const [kind, rest = ''] = key.split(/ (.*)/s);
    if (kind === 'sweep') await sweep();
    else if (kind === 'people') await visitWaived();
    else if (kind === 'tag') await visitTag(rest);
    else if (kind === 'task') await visitTask(Number(rest));
    else await visitBuild(Number(rest));
  }

  /** All that any lost message would have told. */
  async function sweep(): Promise<void> {
    queue.add('sweep', now() + pace.every);
    queue.add('people', now());
    for (const tag of new Set(gates.map((gate) => gate.watch))) queue.add(`tag ${tag}`, now());
    for (const run of await store.liveKernels()) {
      if (gates.some(({ name }) => name === run.gate)) queue.add(`build ${run.kernel.id}`, now());
      else await sayOrphaned(run);
    }
  }

  /** What persons said: every live run wants a look, and kernels that a waiver speaks of, which may be decided already. */
  async function visitWaived(): Promise<void> {
    for (const run of await store.liveKernels()) queue.add(`build ${run.kernel.id}`, now());
    const patterns = (await store.waivers())
      .filter(({ ended, until, kernel }) => !ended && (until === null || now() < until) && kernel !== 'next')
      .map(({ kernel }) => kernel);
    if (patterns.length === 0) return;
    const waived = matcher(patterns);
    for (const { id, nvr, release } of await store.kernels()) {
      // The name that a draft has once it is promoted: the hub is asked whether it is by now.
      if (isDraft({ release }) && waived(releasedNvr(nvr))) queue.add(`build ${id}`, now());
      if (!waived(nvr)) continue;
      // The hub is only asked about those that a waiver really opens again.
      for (const gate of gates) {
        const run = await store.latestRun(gate.name, id);
        if (run && reopens(gate, run, now()) !== undefined) queue.add(`build ${id}`, now());
      }
    }
  }

  async function sayOrphaned({ gate, kernel, id }: Pick<Run, 'gate' | 'kernel' | 'id'>): Promise<void> {
    await store.say(gate, kernel, id, `held: the configuration has no gate ${gate} any more`, now());
  }

  /** Kernels in a watched tag want a look, and live runs when the build tag changed that they build in. */
  async function visitTag(name: string): Promise<void> {
    for (const gate of gates.filter(({ watch }) => watch === name)) {
      const answers = await hub.readAll(
        gate.kernels.map((kernel) => koji.listTagged(name, { package: kernel })),
      );
      for (const build of answers.flatMap(unwrap)) queue.add(`build ${build.build_id}`, now());
    }
    for (const gate of gates.filter((other) => buildTags.get(other.name) === name)) {
      for (const run of await store.liveKernels(gate.name)) queue.add(`build ${run.kernel.id}`, now());
    }
  }

  async function visitTask(id: number): Promise<void> {
    const owner = await store.ownerOfTask(id);
    if (owner) queue.add(`build ${owner.build}`, now());
  }

  async function visitBuild(id: number): Promise<void> {
    if (strangers.has(id)) return;
    const known = await store.kernel(id);
    // A draft has another name once it is promoted.
    const goingOn = known && !isDraft(known) && (await liveRunsOn(known));
    if (goingOn)
      return visitEach(
        goingOn.keys(),
        () => known,
        (gate) => goOn(gate, goingOn.get(gate)),
      );
    const build = await hub.read(koji.getBuild(id));
    if (!build) return;
    if (known && known.nvr !== build.nvr) await see(build);
    const concerned = gatesOf(build);
    if (concerned.length === 0) remember(strangers, id);
    const kernel = () => (build.state === BUILD.COMPLETE ? see(build) : undefined);
    await visitEach(concerned, kernel, async (gate) => goOn(gate, await enter(gate, build)));
  }

  const gatesOf = ({ name }: { readonly name: string }) =>
    gates.filter(({ kernels }) => kernels.includes(name));

  /** The live runs on a kernel, where every gate has one: then the hub need not be asked what it is. */
  async function liveRunsOn(kernel: KernelBuild): Promise<Map<Gate, Run> | undefined> {
    const runs = new Map<Gate, Run>();
    for (const gate of gatesOf(kernel)) {
      const run = await store.latestRun(gate.name, kernel.id);
      if (!run || run.closing) return undefined;
      runs.set(gate, run);
    }
    return runs.size > 0 ? runs : undefined;
  }

  /** What fails at one gate is none of the others' business. */
  async function visitEach(
    concerned: Iterable<Gate>,
    kernel: () => Promise<KernelBuild> | KernelBuild | undefined,
    visit: (gate: Gate) => Promise<void>,
  ): Promise<void> {
    const errors: unknown[] = [];
    for (const gate of concerned) {
      await visit(gate).catch(async (error: unknown) => {
        errors.push(error);
        const about = await kernel();
        if (about) await sayRefused(gate, about, error);
      });
    }
    if (errors.length > 0) throw errors[0];
  }

  /** What people must mend is told where they look; what passes by itself is only logged. */
  async function sayRefused({ name }: Gate, kernel: KernelBuild, error: unknown): Promise<void> {
    if (!(error instanceof HubError)) return;
    const { kind, method, message } = error;
    if (kind !== 'refused' && method !== 'login') return;
    const why =
      method === 'login' ? `held: cannot log in: ${message}` : `held: the hub refuses ${method}: ${message}`;
    await store.say(name, kernel, null, why, now());
  }

  /** Go on with a run, or open it again, as far as can be done now. */
  async function goOn(gate: Gate, run: Run | undefined): Promise<void> {
    if (!run) return;
    let current: Run = run;
    if (run.closing) {
      const why = reopens(gate, run, now());
      if (why === undefined || (await staysOut(gate, run))) return;
      await store.reopen(run, why, now());
      current = (await store.run(run.id)) ?? run;
    }
    const id = run.kernel.id;
    for (let looks = 0; looks < LOOKS; looks++) {
      const wake = await reconcile(gate, current).catch((error: unknown) => {
        if (error instanceof OvertakenError) return 'again' as const;
        throw error;
      });
      if (wake !== 'again') {
        if (wake !== undefined) queue.add(`build ${id}`, wake);
        return;
      }
      current = (await store.run(run.id)) ?? current;
    }
    queue.add(`build ${id}`, now() + pace.poll);
  }

  /** No waiver brings back a kernel that is older than what the pass tags have or last had, or that is where no block put it. */
  async function staysOut(gate: Gate, run: Run): Promise<boolean> {
    const heads = await passedInto(context, gate, run.kernel);
    const tags = (await hub.read(koji.listTags(run.kernel.id))).map(({ name }) => name);
    const newer = newerHead(gate.on_pass.tag, { run, tags, heads });
    if (newer) await store.say(gate.name, run.kernel, run.id, `stays out: ${newer}`, now());
    const { tag } = gate.on_fail;
    const moved = gate.mode === 'enforce' && tag.length > 0 && run.closing?.how !== 'observed';
    const blocked = !moved || tag.some((name) => tags.includes(name));
    return newer !== undefined || !blocked;
  }

  /** The run that is about this stay of the kernel in the watch tag: the known one, or a new one. */
  async function enter(gate: Gate, build: koji.Build): Promise<Run | undefined> {
    const known = await store.latestRun(gate.name, build.build_id);
    if (known && !known.closing) return known;
    if (build.state !== BUILD.COMPLETE) return known;
    const [listed, tags] = await hub.readAll([
      koji.listTagged(gate.watch, { package: build.name }),
      koji.listTags(build.build_id),
    ]);
    const entry = unwrap(listed).find((tagged) => tagged.build_id === build.build_id)?.create_event;
    if (entry === undefined || (known && entry <= known.entry)) {
      // One that has passed or failed somewhere else waits for nothing; a baseline is such a one.
      const names = unwrap(tags).map((tag) => tag.name);
      const ended = [...gate.on_pass.tag, ...gate.on_fail.tag].some((tag) => names.includes(tag));
      if (!known && !ended) await waitForTag(gate, build);
      return known;
    }
    const kernel = await see(build);
    const generation = (known?.generation ?? 0) + 1;
    const id = `${gate.name}/${kernel.id}/${generation}`;
    const names = unwrap(tags).map((tag) => tag.name);
    await store.beginRun({
      id,
      gate: gate.name,
      kernel,
      generation,
      entry,
      tags: names,
      startedAt: now(),
      strategy: gate.strategy,
      ...(await choose(context, gate, kernel)),
    });
    return store.run(id);
  }

  async function waitForTag(gate: Gate, build: koji.Build): Promise<void> {
    await store.say(gate.name, await see(build), null, `waits to be tagged into ${gate.watch}`, now());
  }

  async function see(build: koji.Build): Promise<KernelBuild> {
    const { build_id: id, nvr, name, epoch, version, release } = build;
    const kernel = { id, nvr, name, epoch, version, release };
    await store.seeKernel(kernel, now());
    return kernel;
  }

  /** One look at a run. Returns `again` after something was done, else when to look next. */
  async function reconcile(gate: Gate, before: Run): Promise<'again' | number | undefined> {
    const lostUntil = await settle(context, gate, before);
    // A retry is there for kmods that were mended: their newest builds count.
    const retry = lastRetry(before);
    // A run that an older version began was chosen without baselines.
    const old = !before.verdict && before.kmods.some(({ baselines }) => !baselines);
    if (before.kmods.length === 0 || old || (retry && retry.at > before.chosenAt)) {
      const { kmods } = await choose(context, gate, before.kernel);
      if (kmods.length > 0) await store.select(before, kmods, now());
    }
    const run = (await store.run(before.id)) ?? before;
    const seen = await observe(context, gate, run);
    if (seen.buildTag) buildTags.set(gate.name, seen.buildTag.name);
    const decision = decide(gate, pace, seen);
    if (decision.wantsSymbols) {
      await store.showSymbols(run, await readSymbols(context, gate, run), now());
      return 'again';
    }
    if (decision.wantsBaseline) {
      const baseline = decision.wantsBaseline;
      await store.findBaseline(run, baseline, await findBaselineRepo(context, gate, baseline), now());
      return 'again';
    }
    const acts = decision.verdict || decision.closing || decision.writes.length > 0;
    if (!acts) await store.say(gate.name, run.kernel, run.id, decision.state, now());
    if (decision.verdict) await store.judge(run, decision.verdict, judgementsOf(gate, run, now()), now());
    if (decision.closing) await close(run, { at: now(), ...decision.closing });
    if (decision.writes.length > 0) await act(context, run, decision.writes);
    if (decision.closing) return undefined;
    if (decision.verdict || decision.writes.length > 0) return 'again';
    const wakes = [lostUntil, decision.wakeAt].filter((at) => at !== undefined);
    return wakes.length > 0 ? Math.min(...wakes) : undefined;
  }

  /** A run that is over may be what others wait for: their turn, or the slots that it used. */
  async function close(run: Run, closing: NonNullable<Run['closing']>): Promise<void> {
    await store.closeRun(run, closing);
    for (const other of await store.liveKernels(run.gate)) queue.add(`build ${other.kernel.id}`, now());
  }

  return {
    hint(hint) {
      queue.add(hint.kind === 'tag' ? `tag ${hint.name}` : `${hint.kind} ${hint.id}`, now());
    },
    hearPeople() {
      queue.add('people', now());
    },
    async step(signal) {
      while (!signal?.aborted) {
        const key = queue.take(now());
        if (key === undefined) break;
        try {
          await work(key);
          queue.succeed(key);
        } catch (error) {
          const pause = queue.retry(key, now());
          const hubError = error instanceof HubError;
          log[hubError ? 'warn' : 'error'](
            { key, retryInMs: Math.round(pause), ...(hubError ? { reason: error.message } : { err: error }) },
            'tries again later',
          );
        }
      }
      return queue.next() ?? now() + pace.every;
    },
  };
}

/** Add to a set of bounded size; the oldest goes first. */
function remember(ids: Set<number>, id: number): void {
  ids.add(id);
  for (const oldest of ids) {
    if (ids.size <= REMEMBERED) break;
    ids.delete(oldest);
  }
}
