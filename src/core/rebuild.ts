/** Real builds of the kmods that a promoted kernel made necessary, those first whose symbols others need. */
import { LOST_MOST } from './cell.ts';
import type { Gate, Intent, Run, Write } from './model.ts';
import { isAttempt } from './trial.ts';

type Rebuild = Intent<Extract<Write, { kind: 'rebuild' }>>;

/** Where the rebuild of a kmod stands. */
export interface RebuildStanding {
  readonly kmod: string;
  /** `due`: to be submitted; `waits`: for others; `active`; `done`; `failed`: it, or one that it needs. */
  readonly state: 'due' | 'waits' | 'active' | 'done' | 'failed';
  /** Of `done`: the build that was made. Of `failed`: why, and what to do. */
  readonly text: string;
  readonly intent?: Rebuild;
  readonly waitFor: readonly string[];
}

/**
 * Where each rebuild of a run stands, in the run's order. A kmod waits for those whose symbols it needs, unless they need
 * each other.
 * @param names the kmods that need one
 */
export function rebuilds(run: Run, names: readonly string[]): RebuildStanding[] {
  const needs = new Map(
    run.symbols?.kmods.map(({ kmod, needs }) => [kmod, (needs ?? []).filter((name) => names.includes(name))]),
  );
  const found = new Map<string, RebuildStanding>();
  const stand = (kmod: string): RebuildStanding => {
    const known = found.get(kmod);
    if (known) return known;
    const first = (needs.get(kmod) ?? []).filter((name) => !allNeeds(name, needs).has(kmod));
    const standing = standingOf(run, kmod, first.map(stand));
    found.set(kmod, standing);
    return standing;
  };
  return names.map(stand);
}

/** A kmod, what it needs, what that needs, and so on. */
function allNeeds(kmod: string, needs: ReadonlyMap<string, readonly string[]>): Set<string> {
  const all = new Set([kmod]);
  for (const name of all) for (const other of needs.get(name) ?? []) all.add(other);
  return all;
}

function standingOf({ intents }: Run, kmod: string, first: readonly RebuildStanding[]): RebuildStanding {
  const tries = intents.filter(
    (intent): intent is Rebuild => isRebuild(intent) && intent.write.kmod === kmod,
  );
  const intent = tries.at(-1);
  const ending = intent?.ending;
  const made = first.flatMap(({ intent }) =>
    intent?.ending?.how === 'done' ? (intent.ending.nvr ?? []) : [],
  );
  const say = (state: RebuildStanding['state'], text = ''): RebuildStanding => ({
    kmod,
    state,
    text,
    waitFor: made,
    ...(intent && { intent }),
  });
  if (intent && !ending) return say('active');
  if (ending?.how === 'done') return say('done', ending.nvr ?? '');
  if (intent && ending?.how === 'failed') return say('failed', explain(intent.write, ending.why));
  if (tries.length > LOST_MOST) return say('failed', 'its build never reached the hub');
  const failed = first.find(({ state }) => state === 'failed');
  if (failed) return say('failed', `it needs ${failed.kmod}, which was not rebuilt`);
  return say(first.every(({ state }) => state === 'done') ? 'due' : 'waits');
}

export const isRebuild = (intent: Intent): intent is Rebuild => intent.write.kind === 'rebuild';

/** A task of its own on the hub, that is followed to its end and may be cancelled. */
export const isBuild = (intent: Intent): boolean => isAttempt(intent) || isRebuild(intent);

/**
 * What the hub refuses real builds for, and what mends it. A release can only be built once, as a draft too (the hub's
 * new_build), and `Build already exists` goes on with all that the hub knew of the build.
 */
function explain({ kmod, target }: Rebuild['write'], why: string): string {
  if (/build already exists/i.test(why))
    return `${why.split(': {')[0]}: a release is only built once; bump the release of ${kmod} in the branch that on_pass.rebuild.branch names, or give the build tag of ${target} another %dist (docs/rebuilds.md)`;
  if (/policy violation \(build_from_srpm\)/.test(why))
    return `${why}: ${kmod} was built from a source rpm, and the hub's policy must let such builds into ${target} (docs/rebuilds.md)`;
  return why;
}

/** The writes that submit what is due. */
export function rebuildWrites(
  { rebuild }: Pick<Gate, 'rebuild'>,
  { kmods, kernel }: Run,
  standings: readonly RebuildStanding[],
): Write[] {
  if (!rebuild) return [];
  return standings
    .filter(({ state }) => state === 'due')
    .flatMap(({ kmod, waitFor }): Write[] => {
      const build = kmods.find(({ name }) => name === kmod);
      const repo = [kernel.nvr, ...waitFor];
      return build ? [{ kind: 'rebuild', kmod, buildId: build.buildId, ...rebuild, waitFor: repo }] : [];
    });
}

/** `rebuilt kmod-a-1-2, kmod-b-1-2; not kmod-c: …`; empty where nothing was to be rebuilt. */
export function describeRebuilds(standings: readonly RebuildStanding[]): string {
  const done = standings.filter(({ state }) => state === 'done').map(({ kmod, text }) => text || kmod);
  const failed = standings
    .filter(({ state }) => state === 'failed')
    .map(({ kmod, text }) => `${kmod}: ${text}`);
  return [
    ...(done.length > 0 ? [`rebuilt ${done.join(', ')}`] : []),
    ...(failed.length > 0 ? [`not rebuilt ${failed.join('; ')}`] : []),
  ].join('; ');
}
