/** Sentences that more than one place says. */
import type { KernelRef, LogError, Write } from './model.ts';

/** `1 kmod`, `2 kmods`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** `src/nl.c:205: initialization of …`. */
export function describeError(error: LogError): string {
  const place = error.line > 0 ? `${error.file}:${error.line}: ` : error.file ? `${error.file}: ` : '';
  return `${place}${error.message}`;
}

export function nameKernels(kernels: readonly KernelRef[]): string {
  return [...new Set(kernels.map((kernel) => kernel.nvr))].join(', ');
}

/** What a write does, as one would tell a colleague. */
export function describeWrite(write: Write, nvr: string): string {
  switch (write.kind) {
    case 'scratch-build':
      return `scratch build of ${write.kmod} in ${write.target}`;
    case 'request-repo':
      return `request a repo of ${write.tag}`;
    case 'create-side-tag':
      return `create a side tag of ${write.base}`;
    case 'remove-side-tag':
      return `remove the side tag ${write.tag}`;
    case 'tag':
      return write.from ? `move ${nvr} from ${write.from} to ${write.tag}` : `tag ${nvr} into ${write.tag}`;
    case 'untag':
      return `untag ${nvr} from ${write.tag}`;
    case 'cancel':
      return `cancel task ${write.task}`;
  }
}
