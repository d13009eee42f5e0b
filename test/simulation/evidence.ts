/** Holds what a gate recorded of builds and symbols to what the hub in memory holds (promise 6). */
import type { Gate, Intent, Run } from '../../src/core/model.ts';
import { type State, TASK } from '../../src/sim/state.ts';
import { archesOf, develIn, newestIn, taskOf } from './held.ts';
import { type Files, loadingOf } from './symbols.ts';

type Say = (text: string) => void;

/** What was recorded of an ended build must be what the hub holds, of its own task. */
export function checkEvidence(state: State, run: Run, intent: Intent, say: Say) {
  const { ending, id } = intent;
  if (!ending || ending.how === 'lost' || !ending.build) return;
  const wrong = (what: string) => say(`evidence of ${id}: ${what}`);
  const task = taskOf(state, intent);
  const mark = JSON.stringify(task?.request[2] ?? null).includes(`"attempt":${JSON.stringify(id)}`);
  if (!task || !mark) return wrong(`task ${intent.receipt?.task} is not its own`);
  const states = { closed: TASK.CLOSED, failed: TASK.FAILED, canceled: TASK.CANCELED };
  if (states[ending.build.state] !== task.state)
    wrong(`task ${task.id} is ${task.state}, not ${ending.build.state}`);
  // What could not be read is told to be so.
  if (ending.build.unread !== undefined && ending.build.arches.length === 0) return;
  const truth = archesOf(state, task);
  if (truth.length !== ending.build.arches.length) wrong(`it has ${truth.length} architectures`);
  for (const arch of ending.build.arches) {
    const real = truth.find((one) => one.task.id === arch.task);
    if (!real) return wrong(`task ${arch.task} is no part of it`);
    if (real.task.state !== arch.state || real.task.label !== arch.arch)
      wrong(`task ${arch.task} is ${real.task.state} on ${real.task.label}`);
    if (arch.unread !== undefined) continue;
    const { root } = real;
    const told = arch.buildroot?.map((kernel) => kernel.id) ?? null;
    const held = ([undefined, 'any'] as const).map((any) =>
      root && root.rpms.length > 0 ? develIn(root, run.kernel.name, any) : null,
    );
    // What is named like one, and is none, may be told or not: what it proves is another question.
    if (!held.some((ids) => JSON.stringify(ids) === JSON.stringify(told)))
      wrong(`its build root on ${arch.arch} held ${held[0]}, not ${told}`);
    if (root?.repo_id !== arch.repoId)
      wrong(`its repo on ${arch.arch} was ${root?.repo_id}, not ${arch.repoId}`);
    const newest = root && newestIn(state, root, run.kernel.name);
    // Of a tag that was removed meanwhile the hub tells nothing.
    const unknown = state.tags.some(({ id, revoke_event }) => id === root?.tag_id && revoke_event !== null);
    if ((newest?.id ?? null) !== (arch.repo?.id ?? null) && !(unknown && arch.repo === null))
      wrong(`its repo on ${arch.arch} held ${newest?.nvr}, not ${arch.repo?.nvr}`);
  }
}

/** What was read off rpms must be what they tell. */
export function checkSymbols(files: Files, gate: Gate, run: Run, say: Say): void {
  if (!run.symbols || run.strategy === 'rebuild') return;
  const { id, name } = run.kernel;
  const loaded = loadingOf(files, { name, buildId: id }, gate.variant, run.kmods);
  const answers = { yes: ['compatible'], no: ['incompatible'], unknown: ['inconclusive'] };
  for (const { kmod, arches } of run.symbols.kmods) {
    for (const { arch, answer } of arches) {
      const real = loaded.get(kmod)?.get(arch) ?? { is: 'unknown', gone: false };
      // Where nothing at all is there, that may be told in either way: it may be another kernel's.
      if (answers[real.is].includes(answer) || real.gone) continue;
      say(`symbols of ${kmod} in ${run.id} are told as ${answer} on ${arch}: do they fit? ${real.is}`);
    }
  }
}
