/** What a run waits for, from whom, and how long that took before. */
import type { Attempt, Intent, Run } from '../core/model.ts';
import { isAttempt } from '../core/trial.ts';
import { describeWrite } from '../core/wording.ts';
import type { Links, TaskReport } from './report.ts';

/** Something that was asked of the hub and has not ended. */
export interface Awaited {
  /** `build kmod-foo in c9s-target`. */
  readonly what: string;
  /** The kmod that is built; absent: it is no build. */
  readonly kmod?: string;
  /** `builders`: a task builds it. `hub`: the hub has not answered, or tags, or makes a repo. */
  readonly from: 'builders' | 'hub';
  readonly task?: TaskReport;
  /** Since when, in ms. */
  readonly since: number;
  /** How long the same took before, in ms: the middle of what is known; absent: nothing is. */
  readonly usual?: number;
}

/**
 * What a run waits for, the oldest first.
 * @param past other runs, which tell how long builds take
 */
export function awaitedOf(run: Run, past: readonly Run[], links: Links): Awaited[] {
  if (run.closing) return [];
  const usual = usualTimes([run, ...past]);
  return run.intents
    .filter(({ ending }) => !ending)
    .map((intent) => {
      const { write, receipt, askedAt } = intent;
      const task = receipt?.task;
      const url = task === undefined ? undefined : links.task(task);
      const known = usual.get(keyOf(intent));
      return {
        what: describeWrite(write),
        ...('kmod' in write && { kmod: write.kmod }),
        from: task !== undefined && (isAttempt(intent) || write.kind === 'rebuild') ? 'builders' : 'hub',
        ...(task !== undefined && { task: { id: task, ...(url && { url }) } }),
        since: receipt?.at ?? askedAt,
        ...(known !== undefined && { usual: known }),
      };
    });
}

const keyOf = ({ write }: Intent): string => ('kmod' in write ? `${write.kind} ${write.kmod}` : write.kind);

/** The middle of how long each kind of write, and each kmod's builds, took that were done. */
function usualTimes(runs: readonly Run[]): Map<string, number> {
  const all = new Map<string, number[]>();
  for (const intent of runs.flatMap(({ intents }) => intents)) {
    const { receipt, ending, askedAt } = intent;
    if (!ending || ending.how === 'lost' || isCut(intent)) continue;
    const key = keyOf(intent);
    all.set(key, [...(all.get(key) ?? []), Math.max(0, ending.at - (receipt?.at ?? askedAt))]);
  }
  return new Map(
    [...all].map(([key, times]) => [key, times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0]),
  );
}

/** One that was cancelled tells nothing of how long it takes. */
const isCut = (intent: Intent | Attempt): boolean =>
  intent.ending?.how !== 'lost' && intent.ending?.build?.state === 'canceled';
