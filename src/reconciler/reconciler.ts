/**
 * Hints and the sweep meet here, in one queue of keys (keys.ts). Working on a key means: see what is true, let `core`
 * decide, record and do what it says, and look again. Whatever was lost is found by looking the next time.
 */
import type { Logger } from 'pino';
import type { Gate, Hint } from '../core/model.ts';
import * as koji from '../koji/calls.ts';
import { type Hub, HubError } from '../koji/hub.ts';
import { shareReads } from '../koji/share.ts';
import type { Store } from '../store/store.ts';
import { createExplainer } from './causes.ts';
import type { Context, TypesOf } from './context.ts';
import { followTask } from './follow.ts';
import { buildKey, PEOPLE, parseKey, runKey, SWEEP, tagKey, taskKey } from './keys.ts';
import { findRepo, lookAt, readRunSymbols } from './look.ts';
import { createQueue } from './queue.ts';
import { createVisits } from './visit.ts';

export interface ReconcilerOptions {
  readonly gates: readonly Gate[];
  /** In ms: between sweeps, between looks at running tasks, and for a write without an answer to arrive. */
  readonly pace: { readonly every: number; readonly poll: number; readonly settle: number };
  readonly hub: Hub;
  readonly store: Store;
  /** Where kernels' types come from. Default: from nowhere, and nobody is told why symbols changed. */
  readonly typesOf?: TypesOf;
  /** What Greenwave says of a kernel (NVR), for a gate that waits for it. Default: nothing is let through where one does. */
  readonly askGreenwave?: Context['askGreenwave'];
  readonly log: Logger;
  /** Milliseconds since the epoch, by the gate's clock. */
  readonly now: () => number;
  /** How far the machine's clock is ahead of that, in ms. Default: not at all. */
  readonly ahead?: () => number;
  /** As of Context: asked before each write to the hub, and when this gate began to act where it follows another one. */
  readonly permit?: Context['permit'];
  readonly began?: number;
  /** In [0, 1); spreads retries. */
  readonly random: () => number;
  /** So many keys are at work at a time; one: each in its turn. Default: 24. */
  readonly lanes?: number;
  /** So long looks wait for a request that they share, in ms; then each asks for its own. Default: 5 seconds. */
  readonly patience?: number;
  /** Called when work on a key is over: then `turn` may have more to do. */
  readonly onFree?: () => void;
}

export interface Reconciler {
  /** Look there soon. Never throws and does no I/O: once it returns, the message may be acknowledged. */
  hint(hint: Hint): void;
  /** Look soon at all that messages would tell: some may be lost. */
  sweepSoon(): void;
  /** Look soon at what a new waiver or order in the store speaks of. */
  hearPeople(): void;
  /**
   * Begin work on keys that are due, several at a time, and wait for none. Returns when the next one is due (ms). An error
   * only delays its key.
   */
  turn(): number;
  /** Resolves once nothing is at work. */
  idle(): Promise<void>;
  /**
   * Work on every key that is due, until none is due or at work. Returns when the next one is (ms).
   * @param signal begin no more keys
   */
  step(signal?: AbortSignal): Promise<number>;
  /** How much there is to do, for those who watch. */
  load(): Load;
}

/** Keys: tags, builds, tasks, runs to be looked at. */
export interface Load {
  /** Those that are due and wait. */
  readonly waiting: number;
  readonly working: number;
  /** Those whose last look failed; each is tried again. */
  readonly failing: number;
  /** Every watched tag was read then, or later (ms, by the gate's clock); null: not each one yet. */
  readonly sweptAt: number | null;
}

/** Looks that are at work at the same time share their requests, so more of them cost the hub less. */
const LANES = 24;
/** More keys than these are not kept: then a sweep finds what they would have told. */
const KEYS_MOST = 50_000;

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { gates, pace, hub, store, log, now, ahead = () => 0, lanes = LANES } = options;
  const queue = createQueue(options.random);
  const unread = new Map<string, string>();
  const readAt = new Map<string, number>();
  const context: Context = {
    ...{ gates, hub, store, now, ahead, pace, unread },
    together: { readAll: shareReads(hub, options.patience) },
    ...(options.typesOf && { typesOf: options.typesOf }),
    ...(options.askGreenwave && { askGreenwave: options.askGreenwave }),
    ...(options.permit && { permit: options.permit }),
    ...(options.began !== undefined && { began: options.began }),
    user: userOf(hub),
    buildTags: new Map(),
    gathering: new Map(),
    polled: new Map(),
    want: (key, due = now()) => queue.add(key, due),
  };
  const visits = createVisits(context);
  const explain = createExplainer(context);
  const working = new Set<Promise<void>>();
  queue.add(SWEEP, now());

  async function work(name: string): Promise<void> {
    const key = parseKey(name);
    const tries = queue.failures(name);
    switch (key.kind) {
      case 'sweep':
        queue.add(SWEEP, now() + pace.every);
        return visits.sweep();
      case 'people':
        return visits.people();
      case 'causes':
        return explain();
      case 'tag': {
        const began = now();
        await visits.tag(key.name);
        readAt.set(key.name, began);
        return;
      }
      case 'build':
        return visits.build(key.id);
      case 'task':
        return followTask(context, key.id, tries);
      case 'run':
        return lookAt(context, key.gate, key.build);
      case 'symbols':
        return readRunSymbols(context, key.gate, key.build, tries);
      case 'repo':
        return findRepo(context, key.gate, key.build, key.baseline, tries);
    }
  }

  /** Whose state is to tell that something cannot be read. */
  async function tellUnread(name: string, why: string): Promise<void> {
    const key = parseKey(name);
    if (key.kind !== 'task' && key.kind !== 'symbols' && key.kind !== 'repo') return;
    unread.set(name, why);
    const owner = 'gate' in key ? key : await store.ownerOfTask(key.id);
    if (owner) queue.add(runKey(owner.gate, owner.build), now());
  }

  async function begin(key: string): Promise<void> {
    try {
      await work(key);
      unread.delete(key);
      queue.succeed(key);
    } catch (error) {
      const pause = queue.retry(key, now());
      const hubError = error instanceof HubError;
      log[hubError ? 'warn' : 'error'](
        { key, retryInMs: Math.round(pause), ...(hubError ? { reason: error.message } : { err: error }) },
        'tries again later',
      );
      await tellUnread(key, (error as Error).message).catch((err) => log.error({ err }, 'cannot be told'));
    }
  }

  function turn(signal?: AbortSignal): number {
    while (working.size < lanes && !signal?.aborted) {
      const key = queue.take(now());
      if (key === undefined) break;
      const job: Promise<void> = begin(key).then(() => {
        working.delete(job);
        options.onFree?.();
      });
      working.add(job);
    }
    // While all lanes are taken, one that gets free tells.
    return working.size < lanes ? (queue.next() ?? now() + pace.every) : now() + pace.every;
  }

  /** A hub with a flood of messages must not fill the memory: what is dropped here, the sweep sees. */
  function addHint(key: string): void {
    queue.add(queue.size() < KEYS_MOST ? key : SWEEP, now());
  }

  return {
    hint(hint) {
      if (hint.kind === 'tag') {
        if (visits.isWatched(hint.name)) addHint(tagKey(hint.name));
      } else if (hint.kind === 'task') addHint(taskKey(hint.id));
      else if (!visits.isStranger(hint.id)) addHint(buildKey(hint.id));
    },
    sweepSoon() {
      queue.add(SWEEP, now());
    },
    hearPeople() {
      queue.add(PEOPLE, now());
    },
    turn: () => turn(),
    load() {
      const times = gates.map(({ watch }) => readAt.get(watch) ?? Number.NaN);
      const oldest = Math.min(...times);
      return {
        waiting: queue.overdue(now()),
        working: working.size,
        failing: queue.failing(),
        sweptAt: Number.isFinite(oldest) ? oldest : null,
      };
    },
    async idle() {
      while (working.size > 0) await Promise.race(working);
    },
    async step(signal) {
      let next = turn(signal);
      while (working.size > 0) {
        await Promise.race(working);
        next = turn(signal);
      }
      return next;
    },
  };
}

/** @returns asks once which of the hub's users the gate is; throws HubError */
function userOf(hub: Hub): () => Promise<number> {
  let me: number | undefined;
  return async () => {
    me ??= (await hub.write(koji.getLoggedInUser()))?.id;
    if (me !== undefined) return me;
    throw new HubError(
      'refused',
      'getLoggedInUser',
      'the hub does not know who is asking; see authtype in [koji]',
    );
  };
}
