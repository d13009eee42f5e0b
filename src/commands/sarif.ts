/** Findings as SARIF 2.1.0 (OASIS), for code scanning: a result for each kmod that is broken or of which nothing can be said. */
import { createHash } from 'node:crypto';
import { visible } from '../report/visible.ts';
import { type Case, type Findings, symbolLines } from './findings.ts';

const RULES = {
  'kmod-broken': ['error', 'A kernel module does not load into this kernel, or needs a symbol that changed.'],
  'kmod-inconclusive': ['warning', 'Nothing can be said of a kernel module.'],
  'promise-broken': ['error', 'A symbol changed or went that the kernel promises to keep.'],
  'promise-inconclusive': ['warning', 'Nothing tells whether a promise of the kernel is kept.'],
  'kernel-changed': ['note', 'Exported symbols of the kernel changed.'],
} as const;
type Rule = keyof typeof RULES;
const IDS = Object.keys(RULES) as Rule[];

export function sarif({ cases, unread, causes }: Findings) {
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'kmod-gate',
            rules: IDS.map((id) => ({
              id,
              shortDescription: { text: RULES[id][1] },
              defaultConfiguration: { level: RULES[id][0] },
            })),
          },
        },
        invocations: [
          {
            executionSuccessful: unread.length === 0,
            toolExecutionNotifications: unread.map(({ problem }) => ({
              level: 'error',
              message: { text: visible(problem) },
            })),
          },
        ],
        results: cases.flatMap((it) => resultOf(it) ?? []),
        properties: {
          causes: causes.map(({ name, changes, size, kmods, exports }) => ({
            ...{ name: visible(name), changes: changes.map(visible), size, kmods, exports },
          })),
        },
      },
    ],
  };
}

function resultOf(it: Case) {
  const { name, arch, why, symbols, causes } = it;
  const rule = ruleOf(it);
  if (!rule) return undefined;
  const because = causes.length > 0 ? `\nChanged by ${causes.join(', ')}.` : '';
  const lines = symbolLines(it);
  const text = `${[name, ...(arch === null ? [] : [arch])].join(' ')}: ${why}${because}`;
  return {
    ruleId: rule,
    ruleIndex: IDS.indexOf(rule),
    level: RULES[rule][0],
    message: { text: [text, ...lines].map((line) => line.split('\n').map(visible).join('\n')).join('\n') },
    // No line of a source file is to blame that a package tells of; code scanning shows only what has a place.
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: uriOf(name) }, region: { startLine: 1 } },
        logicalLocations: [{ name: visible(name), kind: it.kind === 'kmod' ? 'module' : it.kind }],
      },
    ],
    partialFingerprints: { primaryLocationLineHash: fingerprint(rule, it) },
    properties: { symbols: symbols.map(({ symbol }) => visible(symbol)), causes: causes.map(visible) },
  };
}

function ruleOf({ kind, outcome }: Case): Rule | undefined {
  if (outcome !== 'broken' && outcome !== 'inconclusive') return undefined;
  return kind === 'kernel' ? 'kernel-changed' : `${kind}-${outcome}`;
}

/** A relative one, whatever the name holds. */
const uriOf = (name: string): string => encodeURIComponent(visible(name).replace(/\p{Cs}/gu, '\ufffd'));

/** The same for the next version of the kmod, so that code scanning takes it for the same alert. */
const fingerprint = (rule: Rule, { name, arch }: Case): string =>
  `${createHash('sha256')
    .update(`${rule} ${name.replace(/-[^-]+-[^-]+$/, '')} ${arch}`)
    .digest('hex')
    .slice(0, 16)}:1`;
