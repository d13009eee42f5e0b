/** Whether Greenwave decides what gates with `wait_for = "greenwave"` wait for. */
import type { GreenwaveSettings } from '../../config/greenwave.ts';
import type { Gate } from '../../core/model.ts';
import * as koji from '../../koji/calls.ts';
import type { Hub } from '../../koji/hub.ts';
import { askGreenwave, GreenwaveError, questionOf } from '../../tell/greenwave.ts';
import { attempt, type Check, ok, unsure, wrong } from './check.ts';

/** Ask about the newest kernel that the hub shows in the gate's tags: Greenwave may want to know the build. */
export async function examineGreenwave(
  hub: Hub,
  gate: Gate,
  settings: GreenwaveSettings | undefined,
): Promise<Check[]> {
  if (gate.policy.wait_for !== 'greenwave') return [];
  const area = `gate ${gate.name}`;
  if (!settings) return [wrong(area, 'waits for Greenwave, and nothing says where it is', 'add [greenwave]')];
  const nvr = await kernelOf(hub, gate);
  if (nvr === undefined) {
    const what = 'whether Greenwave decides on its kernels: there is none in its tags to ask about';
    return [unsure(area, what, 'ask again once there is one')];
  }
  try {
    const { satisfied, summary } = await askGreenwave(settings, questionOf(settings, gate.name, nvr));
    return [ok(area, `Greenwave ${satisfied ? 'lets' : 'would not let'} ${nvr} through: ${summary}`)];
  } catch (error) {
    if (!(error instanceof GreenwaveError)) throw error;
    const mend =
      error.kind === 'refused'
        ? 'mend product_version and decision_context in [greenwave], or Greenwave’s policies; until then nothing is promoted'
        : 'see whether url in [greenwave] is right and it is well; until then nothing is promoted';
    return [wrong(area, error.message, mend)];
  }
}

async function kernelOf(hub: Hub, { watch, on_pass, kernels }: Gate): Promise<string | undefined> {
  for (const tag of [watch, ...on_pass.tag])
    for (const name of kernels) {
      const builds = await attempt(hub.read(koji.listTagged(tag, { package: name, latest: true })));
      const nvr = builds.ok ? builds.value[0]?.nvr : undefined;
      if (nvr !== undefined) return nvr;
    }
  return undefined;
}
