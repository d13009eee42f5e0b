/** Which kmods a gate tries. */
import type { Gate, Kmod } from './model.ts';
import { matcher, sourceRpmPath } from './names.ts';

/** What of a build is needed to choose it; as `listTagged` tells it. */
export interface TaggedKmod {
  readonly build_id: number;
  readonly name: string;
  readonly nvr: string;
  readonly version: string;
  readonly release: string;
  readonly volume_name: string;
}

/**
 * The builds that the gate's patterns choose, by name. The kernels themselves are never chosen.
 * @param builds the newest build of each package in the kmods' tag
 */
export function selectKmods(
  gate: Pick<Gate, 'kernels' | 'kmods' | 'arches'>,
  builds: readonly TaggedKmod[],
): Kmod[] {
  const { include, exclude, advisory } = gate.kmods;
  const archesOf = (name: string) =>
    Object.entries(gate.kmods.arches).find(([pattern]) => matcher([pattern])(name))?.[1] ?? gate.arches;
  const [included, excluded, advised] = [matcher(include), matcher(exclude), matcher(advisory)];
  return builds
    .filter(({ name }) => included(name) && !excluded(name) && !gate.kernels.includes(name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((build) => {
      const { build_id: buildId, name, nvr } = build;
      const arches = archesOf(name);
      const source = sourceRpmPath(build);
      return { name, buildId, nvr, source, required: !advised(name), ...(arches && { arches }) };
    });
}
