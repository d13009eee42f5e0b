/** What a run is about: the kmod builds that it tries, where, and the kernels that they are measured by. */
import { baselinesOf } from '../core/baseline.ts';
import type { Baseline, Gate, KernelBuild, KernelRef, Kmod, Run } from '../core/model.ts';
import { STABLELIST } from '../core/people.ts';
import { selectKmods, type TaggedKmod } from '../core/select.ts';
import * as koji from '../koji/calls.ts';
import { type Hub, HubError, isUnknown, unwrap } from '../koji/hub.ts';
import type { Store } from '../store/store.ts';

/** So many of the newest kernels of a pass tag are looked at for one that is a baseline. */
const SHIPPED_MOST = 5;

/** What is chosen from: what the hub knows of builds, and what the gate has said of kernels so far. */
export interface Choice {
  readonly hub: Pick<Hub, 'read' | 'readAll'>;
  readonly store: Pick<Store, 'lastJudged' | 'lastPassed'>;
}

/** What tags hold, now or at a time. Each throws HubError. */
export interface TagsHeld {
  /** The newest build of each package in the kmods' tag. */
  kmods(): Promise<readonly TaggedKmod[]>;
  /** The stays of a kernel's package in the tags that a pass tags into. */
  shipped(name: string): Promise<readonly koji.TagListing[]>;
  /** Names of the tags that each of some builds is in. */
  tagsOf(builds: readonly number[]): Promise<readonly (readonly string[])[]>;
}

/** What a gate's tags hold now. */
export function heldNow({ hub }: Pick<Choice, 'hub'>, gate: Gate): TagsHeld {
  return {
    kmods: () => hub.read(koji.listTagged(gate.kmods.tag, { latest: true })),
    shipped: async (name) =>
      (await hub.readAll(gate.on_pass.tag.map((tag) => koji.queryPackageHistory(tag, name)))).flatMap(unwrap),
    tagsOf: async (builds) =>
      (await hub.readAll(builds.map((id) => koji.listTags(id))))
        .map(unwrap)
        .map((tags) => tags.map(({ name }) => name)),
  };
}

/**
 * Choose the newest builds of a gate's kmods, each with the architectures on which it is expected and its baselines.
 * @throws HubError, `refused` where the hub knows no build of the configured baseline's name
 */
export async function choose(
  context: Choice,
  gate: Gate,
  kernel: KernelBuild,
  held = heldNow(context, gate),
): Promise<{ kmods: Kmod[]; baseline: KernelRef | null }> {
  const chosen = selectKmods(gate, await held.kmods());
  const { shipped, measure } = await measures(context, gate, kernel, held);
  // A promise that only warns tells of each change once.
  const promised = gate.stablelist?.effect === 'block' ? measure(STABLELIST, 0)[0] : shipped[0];
  const baseline = promised ?? null;
  // By symbols alone a kmod is judged where it has any.
  const built = gate.strategy === 'symbols' ? [] : chosen;
  const arches = await expectedArches(context, [kernel, ...(baseline ? [baseline] : [])], built);
  const kmods = chosen.map((kmod) => {
    const expected = arches.get(kmod.buildId);
    return { ...kmod, ...(expected && { expected }), baselines: measure(kmod.name, kmod.buildId) };
  });
  return { kmods, baseline };
}

/**
 * The kmods of a run, measured by what has passed by now, where that is another kernel for one of some that are named: a
 * kernel may have passed since the run began. Undefined where it is not.
 * @throws HubError
 */
export async function chooseBaselines(
  context: Choice,
  gate: Gate,
  { kernel, kmods }: Run,
  names: ReadonlySet<string>,
): Promise<Kmod[] | undefined> {
  const { measure } = await measures(context, gate, kernel, heldNow(context, gate));
  const anew = kmods.map((kmod) => ({ ...kmod, baselines: measure(kmod.name, kmod.buildId) }));
  const idsOf = ({ baselines = [] }: Kmod) => baselines.map(({ id }) => id).join();
  const differs = anew.some((kmod, i) => names.has(kmod.name) && idsOf(kmod) !== idsOf(kmods[i] ?? kmod));
  return differs ? anew : undefined;
}

/** The kernels that have passed, and by which of them each build of a kmod is measured. */
async function measures(context: Choice, gate: Gate, kernel: KernelBuild, held: TagsHeld) {
  const { store } = context;
  const shipped = await shippedBy(context, gate, kernel, held);
  const configured = gate.baseline !== null;
  const of = (id: number | null) =>
    store.lastJudged(gate.name, kernel.name, { kernel: id, except: kernel.id });
  const passed = configured ? undefined : await of(null);
  const judged = configured ? [] : await Promise.all(shipped.map(({ id }) => of(id)));
  const measure = (name: string, build: number): Baseline[] =>
    baselinesOf(
      build,
      passed?.get(name),
      shipped.map((ref, i) => ({ kernel: ref, judged: judged[i]?.get(name)?.last })),
      kernel.id,
    );
  return { shipped, measure };
}

/**
 * The configured baseline; else the kernels of the tags that a pass tags into, the newest first; else, where a release
 * has emptied such tags, those that it took from there; else the one that the gate let through last.
 */
async function shippedBy(
  { hub, store }: Choice,
  gate: Gate,
  kernel: KernelBuild,
  held: TagsHeld,
): Promise<KernelRef[]> {
  if (gate.baseline !== null) {
    const build = await hub.read(koji.getBuild(gate.baseline));
    if (build) return [{ id: build.build_id, nvr: build.nvr }];
    const why = `the hub knows no build ${gate.baseline}; mend baseline in gate ${gate.name}`;
    throw new HubError('refused', 'getBuild', why);
  }
  const stays = (await held.shipped(kernel.name))
    .filter(({ build_id }) => build_id !== kernel.id)
    .toSorted((a, b) => b.create_event - a.create_event);
  const shipped = newestOf(stays.filter(({ revoke_event }) => revoke_event === null));
  if (shipped.length > 0) return shipped;
  // What stands nowhere any more, or where kernels wait or have failed, was taken back, and shows nothing.
  const gone = newestOf(stays);
  const tags = await held.tagsOf(gone.map(({ id }) => id));
  const none = [gate.watch, ...gate.on_fail.tag];
  const released = gone.filter((_, i) => tags[i]?.some((name) => !none.includes(name)));
  if (released.length > 0) return released;
  const passed = await store.lastPassed(gate.name, kernel.name, kernel.id);
  return passed ? [{ id: passed.id, nvr: passed.nvr }] : [];
}

/** The newest kernels of some stays in tags, each once. */
function newestOf(stays: readonly koji.TagListing[]): KernelRef[] {
  const byId = new Map<number, KernelRef>();
  for (const { build_id: id, name, version, release } of stays)
    if (!byId.has(id)) byId.set(id, { id, nvr: `${name}-${version}-${release}` });
  return [...byId.values()].slice(0, SHIPPED_MOST);
}

/**
 * Where the modules of kmods are built for, by the build's id: the architectures of its rpms, of those that the kernel or
 * its baseline is built for. 32-bit tools beside 64-bit modules are none.
 */
async function expectedArches(
  { hub }: Pick<Choice, 'hub'>,
  kernels: readonly KernelRef[],
  kmods: readonly Kmod[],
): Promise<Map<number, string[]>> {
  const wanted = kmods.filter(({ arches }) => !arches);
  if (wanted.length === 0) return new Map();
  const ids = [...kernels.map(({ id }) => id), ...wanted.map(({ buildId }) => buildId)];
  const answers = await hub.readAll(ids.map((id) => koji.listBuildRPMs(id)));
  const archesOf = (i: number): string[] => {
    const answer = answers[i];
    if (!answer?.ok && answer && isUnknown(answer.error)) return [];
    return [...new Set(unwrap(answer).map(({ arch }) => arch))].filter((arch) => arch !== 'src');
  };
  const ofKernels = new Set(kernels.flatMap((_, i) => archesOf(i)).filter((arch) => arch !== 'noarch'));
  const found = new Map<number, string[]>();
  for (const [i, { buildId }] of wanted.entries()) {
    const all = archesOf(kernels.length + i);
    const built = all.filter((arch) => arch !== 'noarch');
    const fit = built.filter((arch) => ofKernels.has(arch));
    const expected = fit.length > 0 ? fit : built.length > 0 ? built : all;
    if (expected.length > 0) found.set(buildId, expected);
  }
  return found;
}
