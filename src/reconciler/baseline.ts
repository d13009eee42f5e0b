/** What "already broken" is measured by, and where kmods can still be built against it. */
import type { BaselineRepo, Gate, KernelRef, Run } from '../core/model.ts';
import * as koji from '../koji/calls.ts';
import { HubError, isUnknown, unwrap } from '../koji/hub.ts';
import type { Context } from './context.ts';

/**
 * The configured baseline; else the kernel that was tagged last into a tag that a pass tags into, by the gate or by a
 * person; else, where such tags are emptied, the one that the gate let through last.
 * @returns null where there is none yet
 * @throws HubError, `refused` where the hub knows no build of the configured name
 */
export async function chooseBaseline(
  { hub, store }: Context,
  gate: Gate,
  kernel: { readonly id: number; readonly name: string },
): Promise<KernelRef | null> {
  if (gate.baseline !== null) {
    const build = await hub.read(koji.getBuild(gate.baseline));
    if (build) return { id: build.build_id, nvr: build.nvr };
    const why = `the hub knows no build ${gate.baseline}; mend baseline in gate ${gate.name}`;
    throw new HubError('refused', 'getBuild', why);
  }
  const tagged = await hub.readAll(
    gate.on_pass.tag.map((tag) => koji.listTagged(tag, { package: kernel.name })),
  );
  const newest = tagged
    .flatMap(unwrap)
    .filter(({ build_id }) => build_id !== kernel.id)
    .toSorted((a, b) => b.create_event - a.create_event)[0];
  if (newest) return { id: newest.build_id, nvr: newest.nvr };
  const passed = await store.lastPromoted(gate.name, kernel.name, kernel.id);
  return passed ? { id: passed.kernel.id, nvr: passed.kernel.nvr } : null;
}

/** So many repos that once held the baseline are looked at. */
const LOOKED_AT = 10;

/** A repo of the gate's build tag that held the baseline and can still be built in. Throws HubError. */
export async function findBaselineRepo(
  { hub, store }: Context,
  { build }: Gate,
  { baseline }: Run,
): Promise<BaselineRepo> {
  if (!baseline || !build) return { repo: null, why: 'there is no baseline' };
  const { build_tag_name: tag } = await hub.read(koji.getBuildTarget(build.target));
  const ids = (await store.reposWith(baseline.id)).slice(0, LOOKED_AT);
  const answers = await hub.readAll(ids.map((id) => koji.repoInfo(id)));
  for (const answer of answers) {
    // A repo that the hub does not know any more is as good as deleted.
    const repo = answer.ok || !isUnknown(answer.error) ? unwrap(answer) : null;
    if (repo?.tag_name === tag && koji.REPO_USABLE.includes(repo.state)) return { repo: repo.id, why: '' };
  }
  const why = `nothing shows whether it builds against ${baseline.nvr}: no repo of ${tag} holds that one any more`;
  return { repo: null, why };
}
