/** What the kernel changed in the one step that broke a kmod: the symbols that it needs, and why those changed. */
import { type Causes, findCauses } from '../../btf/causes.ts';
import { readBtf } from '../../btf/reader.ts';
import { comparedExports, type Hit, hitOf } from '../../btf/told.ts';
import { partsOfKernel } from '../../changelog/rank.ts';
import type { Config } from '../../config/config.ts';
import type { KernelBuild } from '../../core/model.ts';
import { compareKernels } from '../../kabi/compare.ts';
import { SymbolFileError } from '../../kabi/error.ts';
import type { SymbolTable } from '../../kabi/model.ts';
import { HubError } from '../../koji/hub.ts';
import type { TypesOf } from '../../reconciler/context.ts';
import { type Changelog, compareChangelogs } from '../changelog.ts';
import { CheckError } from '../error.ts';
import type { Unread } from '../folder.ts';
import { changelogOnHub, kernelOnHub, kmodsOnHub } from '../hubbuild.ts';
import type { Plan } from './plan.ts';

/** A symbol that the kmod needs; `after` null: it is gone. */
export interface ChangedNeed {
  readonly symbol: string;
  readonly before: number;
  readonly after: number | null;
  readonly provider: string;
}

/** What one step changed. A part that cannot be told has its reason in place of it. */
export interface Step {
  readonly symbols:
    | {
        /** Of all that the kernel exports. */
        readonly total: number;
        readonly added: number;
        readonly removed: number;
        readonly changed: number;
        /** What of it the kmod, as it was built last, needs. */
        readonly needed: readonly ChangedNeed[];
      }
    | { readonly why: string };
  /** Null where there is nowhere to have types from. */
  readonly causes: { readonly found: Causes; readonly hit: Hit } | { readonly why: string } | null;
  /** What the newer kernel's changelog has that the older one's has not; null where that was not come to. */
  readonly changelog: Changelog | null;
}

/**
 * Compare the two kernels of the step.
 * @param typesOf fetches the types of a kernel; without it no causes are looked for
 */
export async function explainStep(
  config: Config,
  plan: Plan,
  older: KernelBuild,
  newer: KernelBuild,
  typesOf?: TypesOf,
): Promise<Step> {
  const { gate, kmod, arch } = plan;
  const unread: Unread[] = [];
  const options = { arch, variant: gate.variant, config: async () => config, unread };
  try {
    const before = await kernelOnHub(older.nvr, options);
    const after = await kernelOnHub(newer.nvr, options);
    const [needs] = await kmodsOnHub([kmod.nvr], after, after, options);
    const needed = new Set(
      [...(needs?.kernelImports ?? []), ...(needs?.imports ?? [])].map(({ symbol }) => symbol),
    );
    const [damage] = unread;
    if (damage) return { symbols: { why: damage.problem }, causes: null, changelog: null };
    const { added, removed, changed } = compareKernels(before.symbols, after.symbols);
    const all = [...removed.map(({ crc, ...of }) => ({ ...of, before: crc, after: null })), ...changed];
    const causes = typesOf
      ? await causesOf(typesOf, plan, [older, newer], [before.symbols, after.symbols], needed)
      : null;
    const hit = all.filter(({ symbol }) => needed.has(symbol));
    const sought = {
      causes: causes && 'hit' in causes ? causes.hit.causes.flatMap((i) => causes.found.causes[i] ?? []) : [],
      symbols: hit.map(({ symbol }) => symbol),
      parts: partsOfKernel(hit),
    };
    return {
      symbols: {
        total: before.symbols.size,
        ...{ added: added.length, removed: removed.length, changed: changed.length },
        needed: hit.map(({ symbol, before, after, provider }) => ({ symbol, before, after, provider })),
      },
      causes,
      changelog: compareChangelogs(
        await changelogOnHub(older.nvr, options),
        await changelogOnHub(newer.nvr, options),
        sought,
      ),
    };
  } catch (error) {
    return { symbols: { why: reasonOf(error) }, causes: null, changelog: null };
  }
}

/** What cannot be read of a hub is no reason to say nothing of the bisection. */
function reasonOf(error: unknown): string {
  if (error instanceof HubError || error instanceof CheckError || error instanceof SymbolFileError)
    return error.message;
  throw error;
}

async function causesOf(
  typesOf: TypesOf,
  { gate, kmod, arch }: Plan,
  [older, newer]: readonly [KernelBuild, KernelBuild],
  [before, after]: readonly [SymbolTable, SymbolTable],
  needed: ReadonlySet<string>,
): Promise<Step['causes']> {
  const read = async ({ id, name, nvr }: KernelBuild) => {
    const types = await typesOf({ id, name, variant: gate.variant, arch });
    if (types.btf === null) throw new CheckError(`${nvr}: ${types.why}`);
    return readBtf(types.btf, types.file);
  };
  try {
    const exports = comparedExports(before, after);
    const pair = { before: await read(older), after: await read(newer), modules: new Map() };
    const found = findCauses(pair, exports);
    return { found, hit: hitOf({ kmod: kmod.nvr, symbols: needed }, exports, found) };
  } catch (error) {
    return { why: reasonOf(error) };
  }
}
