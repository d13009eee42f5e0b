/** What one gate needs on the hub. */
import type { GreenwaveSettings } from '../../config/greenwave.ts';
import type { Gate } from '../../core/model.ts';
import { selectKmods } from '../../core/select.ts';
import { plural } from '../../core/wording.ts';
import * as koji from '../../koji/calls.ts';
import type { Hub } from '../../koji/hub.ts';
import { examineBaseline } from './baseline.ts';
import { ASK, attempt, type Check, list, ok, wrong } from './check.ts';
import { examineGreenwave } from './greenwave.ts';
import type { KnownHub } from './hub.ts';
import type { Past } from './past.ts';
import { examineRebuild } from './rebuild.ts';
import { examineRepos } from './repos.ts';
import { examineRights } from './rights.ts';
import { examineSymbols } from './symbols.ts';
import { examinePackages, examineTags } from './tags.ts';
import { examineTarget } from './target.ts';

/** All checks of a gate, in the order in which one would mend them. */
export async function examineGate(
  known: KnownHub,
  gate: Gate,
  past: Past,
  greenwave?: GreenwaveSettings,
): Promise<Check[]> {
  const { hub } = known;
  const area = `gate ${gate.name}`;
  const [tagChecks, tags] = await examineTags(hub, gate, area);
  const [targetChecks, buildTag] = await examineTarget(hub, gate, area);
  return [
    ...tagChecks,
    ...targetChecks,
    ...(await examinePackages(hub, gate, area, tags, buildTag)),
    ...(tags.has(gate.kmods.tag) ? [await examineKmods(hub, gate, area)] : []),
    ...(await examineSymbols(hub, gate, area)),
    ...(await examineBaseline(hub, gate, area)),
    ...(await examineRebuild(known, gate, area)),
    ...(await examineRights(known, gate, area, tags, buildTag, past)),
    ...(buildTag ? await examineRepos(known, area, buildTag) : []),
    ...(await examineGreenwave(hub, gate, greenwave)),
  ];
}

async function examineKmods(hub: Hub, gate: Gate, area: string): Promise<Check> {
  const { kmods } = gate;
  const builds = await attempt(hub.read(koji.listTagged(kmods.tag, { latest: true })));
  if (!builds.ok) return wrong(area, `kmods: ${builds.error.message}`, ASK);
  const names = selectKmods(gate, builds.value).map(({ name }) => name);
  if (names.length > 0) return ok(area, `${plural(names.length, 'kmod')} in ${kmods.tag}: ${list(names)}`);
  const mend = `koji tag-build ${kmods.tag} KMOD, or mend kmods.include and kmods.exclude; a gate without kmods holds every kernel`;
  const packages = plural(builds.value.length, 'package');
  return wrong(area, `none of the ${packages} in ${kmods.tag} is a kmod of the gate`, mend);
}
