import type { Store } from '../../src/store/store.ts';

/** Methods of the store by which a gate records a fact, and which may fail, or be the last that a process does. */
export const FACTS: ReadonlySet<string> = new Set<keyof Store>([
  'seeKernel',
  'beginRun',
  'select',
  'showSymbols',
  'explain',
  'keepKernelTypes',
  'keepRpmSymbols',
  'findBaseline',
  'intend',
  'receive',
  'end',
  'judge',
  'closeRun',
  'reopen',
  'say',
]);
