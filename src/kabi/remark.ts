/** What speaks of whether a kmod loads, beside symbols that are gone or changed. */
import { formatCrc } from './crc.ts';

export type Remark =
  /** Its rpm requires of the kernel what this one has not, but `provided`. */
  | { readonly kind: 'requires'; readonly requires: string; readonly provided: string }
  /** Its rpm requires of the kernel something of which nothing tells. */
  | { readonly kind: 'untold'; readonly requires: string }
  /** None of its rpms is for this kernel; VERSIONs as `uname -r` prints them. */
  | { readonly kind: 'built-for'; readonly kernels: readonly string[] }
  /** It requires one symbol with several CRCs. */
  | { readonly kind: 'several-crcs'; readonly symbol: string; readonly crcs: readonly number[] }
  | {
      readonly kind: 'gpl-only';
      readonly symbol: string;
      readonly provider: string;
      readonly license: string | null;
    }
  | {
      readonly kind: 'namespace';
      readonly symbol: string;
      readonly provider: string;
      readonly namespace: string;
    }
  /** It needs a symbol of which it has no CRC, and which nobody exports. */
  | { readonly kind: 'unexported'; readonly symbol: string }
  /** What its vermagic says beside the version. */
  | { readonly kind: 'vermagic'; readonly own: string; readonly kernel: string };

/** Those that leave it open whether it loads; with any other it does not. */
const DOUBTS: readonly Remark['kind'][] = ['untold', 'several-crcs'];
export const isDoubt = ({ kind }: Remark): boolean => DOUBTS.includes(kind);

/** Those of a kmod that is for other kernels: no symbol is to blame. */
export const isForOthers = ({ kind }: Remark): boolean => kind === 'requires' || kind === 'built-for';

/** In words, as a part of a sentence about the kmod. */
export function describeRemark(remark: Remark): string {
  switch (remark.kind) {
    case 'requires':
      return `it requires ${remark.requires}, and this kernel has ${remark.provided}`;
    case 'untold':
      return `it requires ${remark.requires}, and nothing tells whether this kernel has that`;
    case 'built-for':
      return `it is built for ${listed(remark.kernels)}, and not for this kernel`;
    case 'several-crcs': {
      const { symbol, crcs } = remark;
      const count = crcs.length === 2 ? 'both' : 'all';
      return `it is built for ${crcs.length} kernels: it requires ${symbol} as ${listed(crcs.map(formatCrc))}, and no kernel has ${count}`;
    }
    case 'gpl-only':
      return `${remark.symbol} is exported to GPL modules only, and its license is ${remark.license ?? 'not told'}`;
    case 'namespace':
      return remark.namespace.startsWith(MODULES_ONLY)
        ? `${remark.symbol} is exported to the modules ${remark.namespace.slice(MODULES_ONLY.length)} only`
        : `${remark.symbol} is in the namespace ${remark.namespace}, which it does not import`;
    case 'unexported':
      return `it needs ${remark.symbol}, of which it has no CRC, and which nobody exports`;
    case 'vermagic':
      return `its vermagic says "${remark.own}", that of this kernel "${remark.kernel}"`;
  }
}

/** Namespaces of symbols for named modules. */
export const MODULES_ONLY = 'module:';

const listed = (all: readonly string[]): string =>
  all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
