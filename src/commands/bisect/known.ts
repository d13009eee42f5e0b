/** What is known of kernels without a build: from the gate's own runs, and from an earlier bisection of the same question. */
import type { Config } from '../../config/config.ts';
import type { KernelBuild, Run } from '../../core/model.ts';
import { isAttempt, trialOf } from '../../core/trial.ts';
import { hasEnded } from '../../reconciler/evidence.ts';
import { StoreError } from '../../store/error.ts';
import { withStore } from '../../store/open.ts';
import type { Plan } from './plan.ts';
import { judge, type Tried } from './trial.ts';
import type { OwnBuild, Work } from './work.ts';

/** From when on evidence counts, as the gate's policy says: package repositories move on. */
const oldestOf = ({ policy }: Plan['gate'], now: number): number =>
  policy.evidence_age === null ? 0 : now - policy.evidence_age;

/** By kernel, what builds of earlier bisections of this question show; they are given newest first. */
export async function shownEarlier(work: Work, builds: readonly OwnBuild[]): Promise<Map<number, Tried>> {
  const { plan, clock } = work;
  const oldest = oldestOf(plan.gate, clock.now());
  const found = new Map<number, Tried>();
  for (const { task, kernel: id } of builds) {
    const kernel = plan.row.find((one) => one.id === id);
    const isRecent = hasEnded(task.state) && (task.completion_ts ?? 0) * 1_000 >= oldest;
    if (!kernel || !isRecent || found.has(id)) continue;
    const { shows, cause } = await judge(work, kernel, task);
    if (shows !== 'nothing') found.set(id, { shows, cause, tasks: [task.id], by: 'earlier' });
  }
  return found;
}

/**
 * By kernel, what the gate's runs show of this very build of the kmod, in the same target. It only spares builds, so a store
 * that is not there, or is of another hub, is none.
 */
export async function shownInStore(config: Config, plan: Plan, now: number): Promise<Map<number, Tried>> {
  const found = new Map<number, Tried>();
  try {
    await withStore(
      config.store,
      'read',
      async (store) => {
        for (const kernel of plan.row) {
          const runs = (await store.runsOf(kernel.id)).filter(({ gate }) => gate === plan.gate.name);
          const shown = runs.map((run) => shownByRun(plan, kernel, run, now)).find((one) => one);
          if (shown) found.set(kernel.id, shown);
        }
      },
      config.koji.server,
    );
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
  return found;
}

/** By the newest of its builds that shows something. */
function shownByRun(
  { gate, kmod, arch }: Plan,
  kernel: KernelBuild,
  run: Run,
  now: number,
): Tried | undefined {
  const oldest = oldestOf(gate, now);
  for (const attempt of run.intents.filter(isAttempt).toReversed()) {
    const { write, ending, receipt } = attempt;
    const isSame = write.source === kmod.source && (write.base ?? write.target) === gate.build.target;
    if (!isSame || write.against || !ending || ending.at < oldest) continue;
    const { shows, cause } = trialOf(gate.policy, run, kernel, attempt, arch);
    const tasks = receipt?.task === undefined ? [] : [receipt.task];
    if (shows !== 'nothing') return { shows, cause, tasks, by: { run: run.id } };
  }
  return undefined;
}
