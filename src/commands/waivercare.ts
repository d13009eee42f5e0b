/** What a waiver must be before it is given: it ends, it names a kernel that there is, and all kmods only on purpose. */
import type { Config } from '../config/config.ts';
import { nearest } from '../config/mistakes.ts';
import { formatDuration, LONGEST_WAIVER } from '../config/schema.ts';
import { matcher } from '../core/names.ts';
import { getBuild, listTagged } from '../koji/calls.ts';
import { connectHub } from '../koji/client.ts';
import { HubError } from '../koji/hub.ts';
import type { Store } from '../store/store.ts';
import { CheckError } from './error.ts';
import type { Floor, WaiveOptions } from './people.ts';

/** Whether a hub knows a kernel; where it does not, NVRs of its kernels, to tell which one was meant. Throws HubError. */
export type LookUp = (
  nvr: string,
) => Promise<{ readonly known: boolean; readonly others: readonly string[] }>;

/** Asks the hub of a configuration, which needs no login for it. */
export const hubLookUp =
  ({ koji, gates }: Config): LookUp =>
  async (nvr) => {
    const hub = connectHub({
      server: koji.server,
      authtype: 'noauth',
      timeout: koji.timeout,
      ...tlsOf(koji),
    });
    try {
      if ((await hub.read(getBuild(nvr))) !== null) return { known: true, others: [] };
      const tags = new Set(
        gates.flatMap(({ watch, on_pass, on_fail }) => [watch, ...on_pass.tag, ...on_fail.tag]),
      );
      const packages = new Set(gates.flatMap(({ kernels }) => kernels));
      const found = await Promise.all(
        [...tags].flatMap((tag) =>
          [...packages].map((name) => hub.read(listTagged(tag, { package: name })).catch(() => [])),
        ),
      );
      return { known: false, others: [...new Set(found.flat().map((build) => build.nvr))] };
    } finally {
      await hub.close();
    }
  };

const tlsOf = ({ serverca, no_ssl_verify }: Config['koji']) => ({
  ...(serverca !== undefined && { serverca }),
  ...(no_ssl_verify && { no_ssl_verify }),
});

/** The shortest of what gates allow, and which one says so; null: each of them allows waivers without end. */
function strictest({ gates, longestWaivers = {} }: Config, only: string | undefined) {
  const all = gates.flatMap(({ name }) => {
    const longest = longestWaivers[name] === undefined ? LONGEST_WAIVER : longestWaivers[name];
    return longest === null || (only !== undefined && name !== only) ? [] : [{ name, longest }];
  });
  return all.toSorted((a, b) => a.longest - b.longest)[0] ?? null;
}

/** Throws CheckError where a waiver would hold longer than the gates that it is for allow. */
export function assertEnds(
  config: Config,
  { gate, until: said }: Pick<WaiveOptions, 'gate' | 'until'>,
  until: number | null,
  now: number,
): void {
  const most = strictest(config, gate);
  if (!most) return;
  const allowed = `gate ${most.name} lets waivers hold for ${formatDuration(most.longest)} at the most (longest_waiver)`;
  if (until === null) throw new CheckError(`--until: say when it ends, such as 14d; ${allowed}`);
  if (until > now + most.longest) throw new CheckError(`--until ${said}: too far ahead; ${allowed}`);
}

const isPattern = (text: string): boolean => /[*?]/.test(text);

/** Throws CheckError where a kernel is named that neither the store nor the hub knows, with what is near. */
export async function assertKernel(
  { store, lookUp }: Pick<Floor, 'store' | 'lookUp'>,
  nvr: string,
): Promise<void> {
  if (nvr === 'next' || isPattern(nvr) || !lookUp) return;
  const kernels = await store.kernels();
  // A draft that was promoted had another name.
  if (kernels.some((kernel) => kernel.nvr === nvr) || (await store.kernel(nvr))) return;
  const found = await lookUp(nvr).catch((cause: unknown) => {
    if (!(cause instanceof HubError)) throw cause;
    throw new CheckError(
      `--kernel ${nvr}: not in the store, and the hub cannot be asked for it (${cause.message}); a pattern such as "${nvr}*" waits for it all the same`,
      { cause },
    );
  });
  if (found.known) return;
  const near = nearest(nvr, [...new Set([...kernels.map((kernel) => kernel.nvr), ...found.others])], 3);
  const meant = near.length > 0 ? `; near it: ${near.join(', ')}` : '';
  throw new CheckError(
    `--kernel ${nvr}: the hub knows no such build${meant}; one that is still to come is named by a pattern, such as "${nvr}*"`,
  );
}

/** Throws CheckError for a pattern that all kmods fit, of all that there are or of those that a gate tries, unless that is said. */
export async function assertNotAll(
  store: Store,
  { kmod, gate, allKmods }: Pick<WaiveOptions, 'kmod' | 'gate' | 'allKmods'>,
): Promise<void> {
  if (!isPattern(kmod) || allKmods) return;
  const ask = 'where that is meant, say --all-kmods too';
  if (/^[*?]*\*[*?]*$/.test(kmod)) throw new CheckError(`--kmod ${kmod}: waives every kmod; ${ask}`);
  const runs = (await store.runs(NEWEST)).filter((run) => gate === undefined || run.gate === gate);
  const all = runs.find(({ kmods }) => kmods.length > 1 && kmods.every(({ name }) => matcher([kmod])(name)));
  if (all)
    throw new CheckError(
      `--kmod ${kmod}: waives each of the ${all.kmods.length} kmods that gate ${all.gate} tries; ${ask}`,
    );
}

/** So many runs tell which kmods gates try. */
const NEWEST = 10;
