/** What builds of the gate's really showed, each architecture by itself: from the hub's tasks, logs and build roots alone. */
import type { State, Task } from '../../src/sim/state.ts';
import { TASK, tagById } from '../../src/sim/state.ts';
import { isNth } from './draw.ts';
import type { Clock } from './held.ts';

/**
 * One `buildArch` that is over. `fine`: it compiled, against that one kernel. `own`: a compiler failed on it. `trouble`:
 * neither, by no fault of the kmod. `nothing`: it was cancelled, or found another kernel.
 */
export interface Trial {
  readonly what: 'fine' | 'own' | 'trouble' | 'nothing';
  /** As it was asked for. */
  readonly source: string;
  readonly arch: string;
  /** Build id; null: there was none in the build root. */
  readonly kernel: number | null;
  /** Name of the build tag, of a side tag that of its base. */
  readonly tag: string;
  /** Id of the attempt, as its mark says. */
  readonly attempt: string;
  readonly at: number;
}

export interface Trials {
  /** Take in what is over since the last look. */
  look(state: State, clock: Clock): void;
  /** Of a source on an architecture, oldest first. */
  of(source: string, arch: string): readonly Trial[];
}

/**
 * @param packages names of kernel packages
 * @param isOwn whether a task is of the gate's own
 * @param unreadable of every so many-th task the hub never gives the logs: whose failure it is nobody can know
 */
export function createTrials(
  packages: ReadonlySet<string>,
  isOwn: (task: Task) => boolean,
  unreadable: number | null,
): Trials {
  const found = new Map<string, Trial[]>();
  const open = new Set<Task>();
  let seen = 0;
  return {
    look(state, clock) {
      for (const task of state.tasks.slice(seen))
        if (task.method === 'buildArch' && isOwn(task)) open.add(task);
      seen = state.tasks.length;
      for (const task of open) {
        if (task.completion === null) continue;
        open.delete(task);
        const trial = trialOf(state, task, packages, clock, isNth(unreadable, task.id));
        const key = `${trial.source} ${trial.arch}`;
        found.set(key, [...(found.get(key) ?? []), trial]);
      }
    },
    of: (source, arch) => found.get(`${source} ${arch}`) ?? [],
  };
}

function trialOf(
  state: State,
  task: Task,
  packages: ReadonlySet<string>,
  clock: Clock,
  isUnreadable: boolean,
): Trial {
  const parent = state.tasks[(task.parent ?? 0) - 1];
  const root = state.buildroots.findLast(({ task_id }) => task_id === task.id);
  const ids = new Set(
    root?.rpms
      .filter(
        ({ name, build_id }) =>
          build_id !== null && name.endsWith('-devel') && packages.has(name.slice(0, -'-devel'.length)),
      )
      .map(({ build_id }) => build_id),
  );
  const kernel = ids.size === 1 ? ([...ids][0] ?? null) : null;
  const said = task.files.get('build.log')?.content ?? '';
  const rootLog = task.files.get('root.log')?.content ?? '';
  const what = () => {
    if (task.state === TASK.CANCELED) return 'nothing';
    if (task.state === TASK.CLOSED) return kernel === null ? 'nothing' : 'fine';
    if (isUnreadable) return 'trouble';
    // It wants one kernel that there is not: another try finds no other.
    if (kernel === null && /No matching package to install: 'kernel\S* = /.test(rootLog)) return 'nothing';
    return kernel !== null && /\.c:\d+:\d+: error: /.test(said) ? 'own' : 'trouble';
  };
  return {
    what: what(),
    source: String(parent?.request[0]),
    arch: task.label ?? task.arch,
    kernel,
    tag: root ? baseOf(state, root.tag_id) : '',
    attempt: attemptOf(parent),
    at: clock(task.completion ?? 0),
  };
}

function baseOf(state: State, id: number): string {
  const tag = tagById(state, id);
  return tag.extra['sidetag'] === true ? tagById(state, tag.parents[0]?.id ?? id).name : tag.name;
}

/** What the mark of a `build` task says whose it is. */
function attemptOf(build: Task | undefined): string {
  const options = (build?.request[2] ?? {}) as Record<string, unknown>;
  const marks = options['custom_user_metadata'] as Record<string, Record<string, unknown>> | undefined;
  return String(marks?.['kmod-gate']?.['attempt'] ?? '');
}
