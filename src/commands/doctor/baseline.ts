/** The configured baseline. */
import type { Gate } from '../../core/model.ts';
import * as koji from '../../koji/calls.ts';
import type { Hub } from '../../koji/hub.ts';
import { ASK, attempt, type Check, info, ok, wrong } from './check.ts';

export async function examineBaseline(hub: Hub, gate: Gate, area: string): Promise<Check[]> {
  const { baseline, on_pass, kernels } = gate;
  if (baseline !== null) {
    const build = await attempt(hub.read(koji.getBuild(baseline)));
    if (!build.ok) return [wrong(area, `baseline ${baseline}: ${build.error.message}`, ASK)];
    if (build.value && kernels.includes(build.value.name)) return [ok(area, `baseline ${baseline}`)];
    const what = build.value ? 'is no kernel of the gate' : 'is no build that the hub knows';
    return [
      wrong(
        area,
        `baseline ${baseline} ${what}`,
        'mend gate.baseline, or leave it out: the newest that passed',
      ),
    ];
  }
  const answers = await hub.readAll(
    on_pass.tag.flatMap((tag) => kernels.map((kernel) => koji.listTagged(tag, { package: kernel }))),
  );
  const tagged = answers.flatMap((answer) => (answer.ok ? answer.value : []));
  const newest = tagged.toSorted((a, b) => b.create_event - a.create_event)[0];
  if (newest) return [ok(area, `baseline: ${newest.nvr}, the newest in ${newest.tag_name}`)];
  const mend = `koji tag-build ${on_pass.tag[0] ?? 'TAG'} KERNEL, or set gate.baseline; until then policy.unattributed decides over what is broken`;
  return [info(area, 'no kernel has passed yet, by which "already broken" could be measured', mend)];
}
