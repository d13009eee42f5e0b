/** Sentences that more than one place says. */
import type { KernelRef, LogError, Write } from './model.ts';

/** `1 kmod`, `2 kmods`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
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
  const place = error.line > 0 ? `${error.file}:${error.line}: ` : error.file ? `${error.file}: ` : '';
  return `${place}${error.message}`;
}

export function nameKernels(kernels: readonly KernelRef[]): string {
  return [...new Set(kernels.map((kernel) => kernel.nvr))].join(', ');
}

/** What a write does, as one would ask a colleague to. */
export function describeWrite(write: Write): string {
  switch (write.kind) {
    case 'scratch-build':
      return `build ${write.kmod} in ${write.target}`;
    case 'request-repo':
      return `request a repo of ${write.tag}`;
    case 'create-side-tag':
      return `create a side tag of ${write.base}`;
    case 'remove-side-tag':
      return `remove the side tag ${write.tag}`;
    case 'tag':
      return write.from
        ? `move the kernel from ${write.from} to ${write.tag}`
        : `tag the kernel into ${write.tag}`;
    case 'untag':
      return `untag the kernel from ${write.tag}`;
    case 'cancel':
      return `cancel task ${write.task}`;
  }
}

/** Writes that go out together; scratch builds, which may be many, as one phrase. */
export function describeWrites(writes: readonly Write[]): string {
  const builds = writes.filter((write) => write.kind === 'scratch-build');
  const phrases = writes.filter((write) => write.kind !== 'scratch-build').map(describeWrite);
  const target = builds[0]?.target;
  if (target) phrases.push(`build ${builds.map(({ kmod }) => kmod).join(', ')} in ${target}`);
  return phrases.join(', ');
}

/** A tag change once it is done. */
export function describeTagged(write: Extract<Write, { kind: 'tag' | 'untag' }>): string {
  if (write.kind === 'untag') return `untagged from ${write.tag}`;
  return write.from ? `moved from ${write.from} to ${write.tag}` : `tagged into ${write.tag}`;
}
