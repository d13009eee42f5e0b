/** Sentences that more than one place says. */
import { formatCrc } from '../kabi/crc.ts';
import type { KernelRef, LogError, Order, Waiver, Write } from './model.ts';

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
export function describeOrder({ kind, by, reason, kmod }: Omit<Order, 'id' | 'fact'>): string {
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
      return `request a repo of ${write.tag}${write.against ? ` with ${write.against.nvr}` : ''}`;
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
