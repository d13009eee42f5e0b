/** The acceptance suite on the hub that the launcher was told of. */
import { inject } from 'vitest';
import { acceptance } from './acceptance.ts';
import type { Subject } from './subject.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly subject: Subject;
  }
}

acceptance(inject('subject'), (line) => void process.stdout.write(`${line}\n`));
