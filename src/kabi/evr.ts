/** Versions as rpm compares them, and what a dependency asks of one. */

/** A dependency of an rpm that speaks of no symbol: `kernel-uname-r = 5.14.0-70.el9.x86_64`. */
export interface Dependency {
  readonly name: string;
  /** Comparison bits of its flags, see SENSE; 0: whatever the version. */
  readonly flags: number;
  /** `[EPOCH:]VERSION[-RELEASE]`; may be empty. */
  readonly version: string;
}

/** Comparison bits of a dependency's flags (rpm: rpmds.h); RPMSENSE_FIND_REQUIRES and such are others. */
export const SENSE = { LESS: 2, GREATER: 4, EQUAL: 8 } as const;
export const COMPARISON = SENSE.LESS | SENSE.GREATER | SENSE.EQUAL;

/**
 * Whether something provided is what a dependency asks for: both have a version in common (rpm: rpmdsCompare). What names
 * no version meets any; an epoch that is not named is 0; a release counts where both name one. Names are not compared.
 */
export function overlaps(asked: Dependency, provided: Dependency): boolean {
  const [a, b] = [asked.flags & COMPARISON, provided.flags & COMPARISON];
  if (a === 0 || b === 0 || asked.version === '' || provided.version === '') return true;
  const order = compareVersions(asked.version, provided.version);
  if (order < 0) return (a & SENSE.GREATER) !== 0 || (b & SENSE.LESS) !== 0;
  if (order > 0) return (a & SENSE.LESS) !== 0 || (b & SENSE.GREATER) !== 0;
  return (a & b) !== 0;
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [parseVersion(a), parseVersion(b)];
  return (
    rpmvercmp(left.epoch, right.epoch) ||
    rpmvercmp(left.version, right.version) ||
    (left.release && right.release ? rpmvercmp(left.release, right.release) : 0)
  );
}

function parseVersion(text: string): { epoch: string; version: string; release: string } {
  const [, epoch = '0', version = '', release = ''] = /^(?:(\d*):)?(.*?)(?:-([^-]*))?$/.exec(text) ?? [];
  return { epoch: epoch || '0', version, release };
}

/** As a spec file has it: `kernel >= 5.14.0-70.el9`. */
export function describeDependency({ name, flags, version }: Dependency): string {
  const sign = [
    ...(flags & SENSE.LESS ? ['<'] : []),
    ...(flags & SENSE.GREATER ? ['>'] : []),
    ...(flags & SENSE.EQUAL ? ['='] : []),
  ].join('');
  return sign ? `${name} ${sign} ${version}` : name;
}

/**
 * rpm's version comparison (rpm: docs/manual/dependencies): runs of digits compare as numbers, runs of
 * letters as text, digits are newer than letters, `~` sorts before everything, `^` after the end.
 * @returns -1, 0 or 1
 */
export function rpmvercmp(a: string, b: string): number {
  const left = segments(a);
  const right = segments(b);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const order = compareSegments(left[i], right[i]);
    if (order !== 0) return order;
  }
  return 0;
}

const segments = (version: string) => version.match(/\d+|[A-Za-z]+|~|\^/g) ?? [];

function compareSegments(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a === '~' || b === '~') return a === '~' ? -1 : 1;
  if (a === '^') return b === undefined ? 1 : -1;
  if (b === '^') return a === undefined ? -1 : 1;
  if (a === undefined || b === undefined) return a === undefined ? -1 : 1;
  const numbers = [/^\d/.test(a), /^\d/.test(b)] as const;
  if (numbers[0] !== numbers[1]) return numbers[0] ? 1 : -1;
  if (!numbers[0]) return a < b ? -1 : 1;
  const [x, y] = [BigInt(a), BigInt(b)];
  return x === y ? 0 : x < y ? -1 : 1;
}
