/** The symbols of a kernel on the hub, for `check` and `diff`. */
import type { Config } from '../config/config.ts';
import type { KernelSymbols } from '../kabi/model.ts';
import * as koji from '../koji/calls.ts';
import { connectHub } from '../koji/client.ts';
import { readKernel } from '../reconciler/symbols.ts';
import { CheckError } from './error.ts';

export interface HubKernelOptions {
  /** The plain kernel for x86_64 unless told. */
  readonly arch?: string;
  readonly variant?: string;
  readonly config: () => Promise<Config>;
}

/** A build id, or an NVR; and what is named as files are. */
const BUILD = /^(\d+|[^/\s]+-[^-/\s]+-[^-/\s]+)$/;
const FILE = /\.(rpm|ko|gz|xz|zst|symvers|modversions)$/;

/**
 * What a kernel build provides for one architecture, from its rpms' headers.
 * @param ref NVR or build id
 * @throws CheckError where there is none, HubError
 */
export async function kernelOnHub(
  ref: string,
  { arch = 'x86_64', variant = '', config }: HubKernelOptions,
): Promise<KernelSymbols> {
  if (!BUILD.test(ref) || FILE.test(ref))
    throw new CheckError(
      `${ref}: there is no such file, and it is no build of a hub either (NAME-VERSION-RELEASE)`,
    );
  const { koji: settings } = await config();
  const hub = connectHub({ ...settings, authtype: 'noauth' });
  try {
    const build = await hub.read(koji.getBuild(/^\d+$/.test(ref) ? Number(ref) : ref));
    if (!build) throw new CheckError(`${ref}: there is no such file, and the hub has no such build`);
    const nothingKept = { rpmSymbols: async () => new Map(), keepRpmSymbols: async () => {} };
    const kernel = { id: build.build_id, name: build.name, variant };
    const { tables, variant: of } = await readKernel({ hub, store: nothingKept }, kernel);
    const symbols = tables.get(arch);
    if (symbols && symbols.size > 0) return { arch, variant: of, symbols };
    const there = [...tables].filter(([, table]) => table.size > 0).map(([name]) => name);
    throw new CheckError(
      `${ref}: its ${variant && `${variant} `}rpms provide no symbol for ${arch}${there.length > 0 ? `, but for ${there.join(', ')}: see --arch` : ''}`,
    );
  } finally {
    await hub.close();
  }
}
