/** Whether the kernel's rpms say which symbols they provide: not every build of a kernel lets them. */
import type { Gate } from '../../core/model.ts';
import { kernelPrefix, parseDependencies, rpmsOfKernel } from '../../kabi/rpm.ts';
import * as koji from '../../koji/calls.ts';
import type { Hub } from '../../koji/hub.ts';
import { attempt, type Check, ok, unsure, wrong } from './check.ts';

/** Looked at on the newest kernel that is in the watch tag or has passed. */
export async function examineSymbols(hub: Hub, gate: Gate, area: string): Promise<Check[]> {
  if (gate.strategy === 'rebuild' && !gate.stablelist) return [];
  const found = await attempt(readNewest(hub, gate));
  const what = 'whether the kernel says which symbols it provides';
  if (!found.ok) return [unsure(area, `${what}: ${found.error.message}`, 'koji rpminfo kernel-core')];
  const { value } = found;
  if (!value)
    return [unsure(area, `${what}: there is no kernel to look at`, `koji tag-build ${gate.watch} KERNEL`)];
  if (value.rpm === null) {
    const { kernel, prefix } = value;
    const mend = 'set variant to one that the kernel is built in';
    return [wrong(area, `${kernel} has no rpm ${prefix}-core, and none ${prefix}`, mend)];
  }
  const { rpm, symbols } = value;
  if (symbols > 0) return [ok(area, `${rpm} provides ${symbols} symbols, with their CRCs`)];
  const mend =
    'build the kernel with the dependency generators of kernel-rpm-macros, or set strategy = "rebuild" and no stablelist';
  return [wrong(area, `${rpm} provides no symbol, so nothing can be told of any kmod`, mend)];
}

/** One rpm of the newest kernel, null where it has none of that variant, and how many symbols that provides. */
type Newest =
  | { readonly rpm: string; readonly symbols: number }
  | { readonly rpm: null; readonly kernel: string; readonly prefix: string };

/** Undefined where there is no kernel. Throws HubError. */
async function readNewest(hub: Hub, { kernels, watch, on_pass, variant }: Gate): Promise<Newest | undefined> {
  const lists = await hub.readAll(
    [watch, ...on_pass.tag].flatMap((tag) =>
      kernels.map((name) => koji.listTagged(tag, { package: name, latest: true })),
    ),
  );
  const kernel = lists.flatMap((list) => (list.ok ? list.value : []))[0];
  if (!kernel) return undefined;
  const named = { name: kernel.name, variant };
  const rpms = rpmsOfKernel(named, await hub.read(koji.listBuildRPMs(kernel.build_id)));
  const prefix = kernelPrefix(named);
  // That of vmlinux: a kernel's modules may well export nothing.
  const core = rpms.find(({ name }) => name === `${prefix}-core`) ?? rpms[0];
  if (!core) return { rpm: null, kernel: kernel.nvr, prefix };
  const {
    PROVIDENAME: names,
    PROVIDEVERSION: versions,
    PROVIDEFLAGS: flags,
  } = await hub.read(koji.getRPMHeaders(core.id));
  return { rpm: core.nvr, symbols: parseDependencies({ names, versions, flags }).length };
}
