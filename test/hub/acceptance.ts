/** The acceptance suite: whether a hub does for the gate what a Koji hub does. The same for every hub. */
import { afterEach } from 'vitest';
import { gating, type Tell } from './gating.ts';
import { reading } from './reading.ts';
import type { Subject } from './subject.ts';

/** Declare the tests. Those that the subject cannot be asked are skipped, and say why. */
export function acceptance(subject: Subject, tell: Tell): void {
  reading(subject);
  if (!subject.gate || !subject.write) return;
  let failed = false;
  afterEach(({ task }) => {
    failed ||= task.result?.state === 'fail';
  });
  gating(subject, subject.gate, subject.write, { tell, failed: () => failed });
}
