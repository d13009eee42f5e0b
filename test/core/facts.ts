/** Facts for tests of the core: small builders with plain defaults. */

import { standings } from '../../src/core/judge.ts';
import type { Observation } from '../../src/core/look.ts';
import {
  type ArchEvidence,
  type BuildEvidence,
  type Building,
  type Ending,
  type Gate,
  type Intent,
  type KernelBuild,
  type Kmod,
  type LogError,
  type PastTrial,
  type Policy,
  type Receipt,
  type Run,
  TASK,
  type Write,
} from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import type { TagMove } from '../../src/core/tags.ts';
import { verdictOf } from '../../src/core/verdict.ts';

export const KERNEL: KernelBuild = {
  id: 30,
  nvr: 'kernel-5.14.0-70.el9',
  name: 'kernel',
  epoch: null,
  version: '5.14.0',
  release: '70.el9',
};
export const OTHER: KernelBuild = { ...KERNEL, id: 20, nvr: 'kernel-5.14.0-69.el9', release: '69.el9' };
export const NEWER: KernelBuild = { ...KERNEL, id: 40, nvr: 'kernel-5.14.0-71.el9', release: '71.el9' };

export const GATE: Gate & { readonly build: Building } = {
  name: 'c9s',
  kernels: ['kernel'],
  watch: 'gate',
  mode: 'enforce',
  strategy: 'rebuild',
  variant: '',
  stablelist: null,
  kmods: { tag: 'kmods', include: ['*'], exclude: [], advisory: [], arches: {} },
  arches: null,
  baseline: null,
  rebuild: null,
  policy: DEFAULT_POLICY,
  build: { target: 'try', repo: 'wait', priority: 5, max_active: 20 },
  on_pass: { tag: ['candidate'], untag: ['gate'] },
  on_fail: { tag: ['blocked'], untag: ['gate'] },
};

export function kmod(name: string, required = true): Kmod {
  return { name, buildId: 1, nvr: `${name}-1-1`, source: `${name}.src.rpm`, required };
}

export function arch(evidence: Partial<ArchEvidence> = {}): ArchEvidence {
  return {
    arch: 'x86_64',
    task: 2,
    state: TASK.CLOSED,
    buildroot: [{ id: KERNEL.id, nvr: 'kernel-devel-5.14.0-70.el9' }],
    repo: { id: KERNEL.id, nvr: KERNEL.nvr },
    errors: [],
    ...evidence,
  };
}

export const BUILDS: BuildEvidence = { state: 'closed', arches: [arch()] };
export const COMPILE_ERROR: LogError = {
  kind: 'source',
  file: 'src/nl.c',
  line: 205,
  message: 'no member named pre_doit',
};
export const FAILS: BuildEvidence = {
  state: 'failed',
  fault: { code: 1005, text: 'mock exited with status 1' },
  arches: [arch({ state: TASK.FAILED, errors: [COMPILE_ERROR] })],
};
export const NO_BUILDROOT: BuildEvidence = {
  state: 'failed',
  fault: { code: 1012, text: 'could not init mock buildroot' },
  arches: [
    arch({
      state: TASK.FAILED,
      buildroot: null,
      repo: null,
      fault: { code: 1012, text: 'could not init mock buildroot' },
    }),
  ],
};

/** Facts of tests may have no numbers: what has the earlier time came first, what was asked after what was said. */
export type Timed<T> = T extends readonly (infer One)[]
  ? readonly Timed<One>[]
  : T extends object
    ? { [Key in keyof T as Key extends 'fact' ? never : Key]: Timed<T[Key]> } & { readonly fact?: number }
    : T;

/** The same with numbers. */
export function numbered<T>(facts: Timed<T>): T;
export function numbered(facts: unknown): unknown {
  if (Array.isArray(facts)) return facts.map((one) => numbered(one));
  if (typeof facts !== 'object' || facts === null) return facts;
  const { askedAt, at } = facts as { askedAt?: number; at?: number };
  const time = askedAt ?? at;
  const parts = Object.entries(facts).map(([key, value]) => [key, numbered(value)]);
  return { ...(time !== undefined && { fact: time + 0.5 }), ...Object.fromEntries(parts) };
}

/** An intent of the run with the next free id of its kind. */
export function intent(
  write: Write,
  known: { receipt?: Partial<Receipt>; ending?: Ending } = {},
  askedAt = 0,
): Intent {
  return numbered<Intent>({
    id: `${JSON.stringify(write)}@${askedAt}`,
    write,
    askedAt,
    ...(known.receipt && { receipt: { at: askedAt, ...known.receipt } }),
    ...(known.ending && { ending: known.ending }),
  });
}

/** A scratch build of a kmod that ended with this evidence. */
export function tried(name: string, build: BuildEvidence, at = 0): Intent {
  const ending: Ending =
    build.state === 'closed' ? { at, how: 'done', build } : { at, how: 'failed', why: 'x', build };
  return { ...building(name, at), ending: { ...ending, fact: at + 0.5 } };
}

/** A scratch build of a kmod that runs as task 9. */
export function building(name: string, at = 0): Intent {
  return intent(
    { kind: 'scratch-build', kmod: name, source: `${name}.src.rpm`, target: 'try', priority: 5 },
    { receipt: { task: 9 } },
    at,
  );
}

export function run(facts: Timed<Partial<Run>> = {}): Run {
  return {
    id: 'c9s/30/1',
    fact: 0,
    gate: 'c9s',
    kernel: KERNEL,
    generation: 1,
    entry: 7,
    tags: ['gate'],
    startedAt: 0,
    strategy: 'rebuild',
    kmods: [kmod('kmod-a'), kmod('kmod-b')],
    chosen: { at: 0, fact: 0 },
    baseline: null,
    baselineRepos: {},
    past: [],
    intents: [],
    waivers: [],
    orders: [],
    ...numbered<Partial<Run>>(facts),
  };
}

/** What an earlier run showed of kmod-a's build with the kernel OTHER, in the gate's target. */
export const past = (shows: PastTrial['shows'], more: Partial<PastTrial> = {}): PastTrial => ({
  kmodBuild: 1,
  kernelBuild: OTHER.id,
  arch: 'x86_64',
  target: 'try',
  shows,
  proof: 'buildroot',
  run: 'c9s/20/1',
  at: 0,
  ...more,
});

/** A change of the kernel's tags by a user: `kmod-gate` is the one as whom the gate is logged in. */
const move =
  (enters: boolean) =>
  (tag: string, by: string, event: number): TagMove => ({
    tag,
    enters,
    event,
    by,
    own: by === 'kmod-gate',
  });
export const came = move(true);
export const left = move(false);

/** The tags after these changes, of a kernel that stood before the gate and in some tags more. */
export function history(moves: readonly TagMove[], before: readonly string[] = []) {
  const tags = new Set(['gate', ...before]);
  for (const { tag, enters } of moves) tags[enters ? 'add' : 'delete'](tag);
  const entry = tags.has('gate') ? (moves.findLast(({ tag }) => tag === 'gate')?.event ?? 7) : null;
  return { tags: [...tags], entry, moves: [came('gate', 'tagger', 7), ...moves] };
}

/** What is true while a kernel stands before the gate and is the newest there. */
export function seen(facts: Timed<Partial<Run>> = {}, world: Partial<Observation> = {}): Observation {
  return {
    now: 1_000_000,
    ahead: 0,
    newest: 0,
    unread: [],
    ended: false,
    run: run(facts),
    tags: ['gate'],
    moves: [came('gate', 'tagger', 7)],
    entry: 7,
    buildTag: { name: 'try-build', latest: KERNEL, leaves: true },
    heads: new Map(),
    incoming: new Set(),
    otherGates: [],
    blockedIn: [],
    blockedBy: null,
    sideTags: [],
    orphans: [],
    slots: 20,
    retriesToday: 0,
    newer: null,
    greenwave: null,
    ...world,
  };
}

/** Where the kmods of a run stand, and what comes of it, at the gate GATE. */
export const stand = (of: Run, policy: Partial<Policy> = {}, now = 1_000_000) =>
  standings({ ...GATE, policy: { ...GATE.policy, ...policy } }, of, now);
export const verdictFor = (of: Run, policy: Partial<Policy> = {}, now = 1_000_000) =>
  verdictOf({ ...GATE, policy: { ...GATE.policy, ...policy }, stablelist: listOf(of) }, of, now);

/** A gate's list as it was when the symbols of a run were read. */
const listOf = ({ symbols }: Run): Gate['stablelist'] =>
  symbols?.stablelist ? { effect: symbols.stablelist, symbols: {} } : null;
