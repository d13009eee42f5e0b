/** Where a gate's scratch builds go, and whether they could ever see a kernel that stands before the gate. */
import type { Gate } from '../../core/model.ts';
import * as koji from '../../koji/calls.ts';
import type { Hub } from '../../koji/hub.ts';
import { ASK, attempt, type Check, info, ok, wrong } from './check.ts';

/** The tag that fills the build roots. */
export interface BuildTag {
  readonly id: number;
  readonly name: string;
  /** In the order in which Koji looks for builds. */
  readonly ancestors: readonly koji.Ancestor[];
  readonly arches: readonly string[];
  /** Whether it sees what is in the watch tag. */
  readonly sees: boolean;
}

/** Undefined where the target leads nowhere, or there is none. What is built for it has no say: scratch builds are tagged nowhere. */
export async function examineTarget(
  hub: Hub,
  gate: Gate,
  area: string,
): Promise<[Check[], BuildTag | undefined]> {
  const { watch, build } = gate;
  if (!build) return [[info(area, 'it judges by symbols alone, and builds nothing')], undefined];
  const target = await attempt(hub.read(koji.getBuildTarget(build.target)));
  if (!target.ok) {
    const mend = `koji add-target ${build.target} BUILD-TAG DEST-TAG, or mend build.target`;
    return [[wrong(area, `target ${build.target}: ${target.error.message}`, mend)], undefined];
  }
  const { build_tag: id, build_tag_name: name } = target.value;
  const [parents, config] = await hub.readAll([koji.getFullInheritance(name), koji.getBuildConfig(name)]);
  if (!parents.ok) return [[wrong(area, `inheritance of ${name}: ${parents.error.message}`, ASK)], undefined];
  if (!config.ok) return [[wrong(area, `build tag ${name}: ${config.error.message}`, ASK)], undefined];
  const ancestors = parents.value;
  const arches = config.value.arches?.split(/\s+/).filter((arch) => arch !== '') ?? [];
  const sees = name === watch || ancestors.some((ancestor) => ancestor.name === watch);
  const tag = { id, name, ancestors, arches, sees };
  const what = `target ${build.target} builds in ${name}`;
  if (sees) {
    const hidden = build.repo === 'sidetag' ? [] : await examineHiding(hub, gate, area, tag);
    return [[ok(area, `${what}, which inherits from ${watch}`), ...hidden], tag];
  }
  const mend = `koji add-tag-inheritance ${name} ${watch}; until then no scratch build can see a kernel of the gate`;
  return [[wrong(area, `${what}, which does not inherit from ${watch}`, mend)], tag];
}

/** A repo takes a package's newest build from the first tag that has one; a kernel in a tag before the watch tag hides the gate's. */
async function examineHiding(hub: Hub, gate: Gate, area: string, tag: BuildTag): Promise<Check[]> {
  const order = [tag.name, ...tag.ancestors.map(({ name }) => name)];
  const before = order.slice(0, order.indexOf(gate.watch));
  const answers = await hub.readAll(
    gate.kernels.map((kernel) => koji.getLatestBuilds(tag.name, { package: kernel })),
  );
  const hiding = answers.flatMap((answer) => (answer.ok ? answer.value : []));
  return hiding
    .filter(({ tag_name }) => before.includes(tag_name))
    .map(({ nvr, tag_name }) => {
      const what = `${nvr} in ${tag_name} hides every kernel in ${gate.watch}: ${tag.name} looks there first`;
      const mend = `koji untag-build ${tag_name} ${nvr}, let ${tag.name} inherit from ${gate.watch} first (koji edit-tag-inheritance), or set build.repo = "sidetag"`;
      return wrong(area, what, mend);
    });
}
