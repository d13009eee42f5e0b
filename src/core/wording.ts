/** Sentences that more than one place says. */
import { formatCrc } from '../kabi/crc.ts';
import type {
  ArchSymbols,
  KernelChange,
  KernelRef,
  LogError,
  Order,
  SymbolsShown,
  Waiver,
  Write,
} from './model.ts';

/** `1 kmod`, `2 kmods`, `2 retries`. */
export function plural(count: number, noun: string, many = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : many}`;
}

/** `2026-11-24 22:30 UTC`. */
export function moment(ms: number): string {
  // biome-ignore lint/style/noRestrictedGlobals: it reads no clock
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** `waived by ada until 2026-12-01 00:00 UTC: vendor will rebuild`. */
export function describeWaiver({ by, until, reason }: Pick<Waiver, 'by' | 'until' | 'reason'>): string {
  return `waived by ${by}${until === null ? '' : ` until ${moment(until)}`}: ${reason}`;
}

/** What a person asked of a run, as the journal has it. */
export function describeOrder({ kind, by, reason, kmod }: Omit<Order, 'id'>): string {
  const what = {
    retry: `asks to try ${kmod ?? 'what is not fine'} again`,
    hold: 'holds it',
    release: 'releases it',
    cancel: 'cancels the run',
  }[kind];
  return `${by} ${what}${reason ? `: ${reason}` : ''}`;
}

/** A span of time, `1 h 35 min`; clocks that disagree give no negative one. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (seconds < 60) return `${seconds} s`;
  if (minutes < 60) return `${minutes} min`;
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** `src/nl.c:205: initialization of …`. */
export function describeError(error: LogError): string {
  const { file, line, message, identifier, change } = error;
  const place = line > 0 ? `${file}:${line}: ` : file ? `${file}: ` : '';
  if (!change) return `${place}${message}`;
  const { before, after, provider } = change;
  const what =
    after === null
      ? 'is gone from this kernel'
      : `changed in this kernel, ${formatCrc(before)} → ${formatCrc(after)}`;
  return `${place}${message} (${identifier} ${what}, in ${provider})`;
}

/** So many symbols are named in a sentence; a report has them all. */
const NAMED = 3;

const few = (texts: readonly string[]): string =>
  `(${texts.slice(0, NAMED).join(', ')}${texts.length > NAMED ? ', …' : ''})`;

/** What became of the promise to keep the listed symbols; `unclear` where that cannot be told. */
export function keepsPromise({ change, stablelist }: SymbolsShown): 'kept' | 'broken' | 'unclear' {
  if (!stablelist || !change) return 'kept';
  if (change.arches.some(({ listed }) => listed !== null && listed.length > 0)) return 'broken';
  return change.unreadable !== null || change.arches.some(({ listed }) => listed === null)
    ? 'unclear'
    : 'kept';
}

/** The same in a sentence. */
export function describeStablelist(shown: SymbolsShown): string {
  const { change, stablelist } = shown;
  if (!change) return 'stablelist: no kernel has passed yet to compare with';
  const { baseline, unreadable, arches } = change;
  if (unreadable !== null) return `stablelist: ${baseline.nvr} cannot be compared with: ${unreadable}`;
  const parts = arches.flatMap(({ arch, listed }) => {
    if (listed === null) return [`there is no list for ${arch}`];
    if (listed.length === 0) return [];
    const names = few(listed.map(({ symbol }) => symbol));
    return [`${plural(listed.length, 'listed symbol')} changed or went on ${arch} ${names}`];
  });
  if (parts.length === 0) return `stablelist: kept since ${baseline.nvr}`;
  return `stablelist${stablelist === 'warn' ? ' (warning)' : ''}: since ${baseline.nvr} ${parts.join(', ')}`;
}

/** One sentence in place of thousands of symbols; undefined where the code changed and not everything. */
export function describeEverything({ baseline, arches }: KernelChange): string | undefined {
  const one = arches.find(({ everything }) => everything);
  if (!one) return undefined;
  const share = `${one.changed} of ${one.common} symbols`;
  return `nearly every CRC changed since ${baseline.nvr} (${share} on ${one.arch}): the compiler or the generator of CRCs did, so every kmod must be built anew`;
}

/** `since kernel-… 7 symbols added, 3 removed, 18107 changed on x86_64`. */
export function describeChange({ baseline, unreadable, arches }: KernelChange): string {
  if (unreadable !== null) return `what changed since ${baseline.nvr} cannot be told: ${unreadable}`;
  const counts = arches.map(
    ({ arch, added, removed, changed }) =>
      `${plural(added, 'symbol')} added, ${removed} removed, ${changed} changed on ${arch}`,
  );
  return `since ${baseline.nvr} ${counts.join('; ')}`;
}

/** `2 of its 126 symbols are gone (a, b), 1 has another CRC (c: 0x00000001 → 0x00000002, in kernel-core)`. */
export function describeSymbols({ imports, missing, changed, fromBroken, cause }: ArchSymbols): string {
  const of = (count: number) => `${count} of its ${plural(imports, 'symbol')}`;
  const gone = missing.map(({ symbol }) => symbol);
  const moved = changed.map(
    ({ symbol, required, provided, provider }) =>
      `${symbol}: ${formatCrc(required)} → ${formatCrc(provided)}, in ${provider}`,
  );
  const parts = [
    ...(gone.length > 0 ? [`${of(gone.length)} ${gone.length === 1 ? 'is' : 'are'} gone ${few(gone)}`] : []),
    ...(moved.length > 0
      ? [`${of(moved.length)} ${moved.length === 1 ? 'has' : 'have'} another CRC ${few(moved)}`]
      : []),
    ...fromBroken
      .slice(0, 1)
      .map(({ symbol, provider }) => `it needs ${symbol} of ${provider}, which does not load`),
  ];
  return [...(cause === null ? [] : [cause]), parts.join(', ')].join('; ');
}

export function nameKernels(kernels: readonly KernelRef[]): string {
  return [...new Set(kernels.map((kernel) => kernel.nvr))].join(', ');
}

/** What a write does, as one would ask a colleague to. */
export function describeWrite(write: Write): string {
  switch (write.kind) {
    case 'scratch-build':
      return `build ${write.kmod} ${placeOf(write)}`;
    case 'rebuild':
      return `rebuild ${write.kmod} in ${write.target}${write.draft ? ' as a draft' : ''}`;
    case 'request-repo':
      return `request a repo of ${write.tag}`;
    case 'create-side-tag':
      return `create a side tag of ${write.base}${write.against ? ` for ${write.against.nvr}` : ''}`;
    case 'remove-side-tag':
      return `remove the side tag ${write.tag}`;
    case 'tag':
      return write.from
        ? `move the kernel from ${write.from} to ${write.tag}`
        : `tag ${write.against?.nvr ?? 'the kernel'} into ${write.tag}`;
    case 'untag':
      return `untag the kernel from ${write.tag}`;
    case 'cancel':
      return `cancel task ${write.task}`;
  }
}

const placeOf = ({ target, against }: Extract<Write, { kind: 'scratch-build' }>): string =>
  `in ${target}${against ? ` against ${against.nvr}` : ''}`;

/** Writes that go out together; scratch builds, which may be many, as one phrase. */
export function describeWrites(writes: readonly Write[]): string {
  const builds = writes.filter((write) => write.kind === 'scratch-build');
  const phrases = writes.filter((write) => write.kind !== 'scratch-build').map(describeWrite);
  for (const place of new Set(builds.map(placeOf))) {
    const names = builds.filter((write) => placeOf(write) === place).map(({ kmod }) => kmod);
    phrases.push(`build ${names.join(', ')} ${place}`);
  }
  return phrases.join(', ');
}

/** A tag change once it is done. */
export function describeTagged(write: Extract<Write, { kind: 'tag' | 'untag' }>): string {
  if (write.kind === 'untag') return `untagged from ${write.tag}`;
  return write.from ? `moved from ${write.from} to ${write.tag}` : `tagged into ${write.tag}`;
}
