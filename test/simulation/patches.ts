/**
 * Mistakes to put back into the source, each with the first seed that shows it. To write one: the text as it stands
 * there, exactly once, and what is to stand there; then `npm run sim -- --plants NAME` tells the seed.
 */
import type { Patch } from './patched.ts';

export const PATCHES: readonly Patch[] = [
  {
    finding: 'A11',
    what: 'a waiver that has ended still counts',
    changes: [
      {
        file: 'src/core/judge.ts',
        from: '(waiver.until === null || now < waiver.until)',
        to: 'waiver.until !== now',
      },
    ],
    seed: '52',
  },
  {
    finding: 'A3',
    what: 'what builds with the baseline is taken for already broken',
    changes: [
      {
        file: 'src/core/judge.ts',
        from: "if (shown.outcome === 'ok') return say('broken', `it builds",
        to: "if (shown.outcome === 'ok') return say('already-broken', `it builds",
      },
    ],
    seed: '39',
  },
  {
    finding: 'symbols',
    what: 'a symbol that is gone or has another CRC is nothing to worry about',
    changes: [
      {
        file: 'src/core/finding.ts',
        from: "const broken = arches.filter(({ answer }) => answer === 'incompatible');",
        to: 'const broken = arches.filter(({ answer }) => answer !== answer);',
      },
      {
        file: 'src/core/finding.ts',
        from: "const unclear = arches.find(({ answer }) => answer === 'inconclusive');",
        to: 'const unclear = arches.find(({ answer }) => answer !== answer);',
      },
    ],
    seed: '4',
  },
];
