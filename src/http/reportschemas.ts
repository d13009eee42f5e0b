/** Reports as JSON: the schema of each, for the API's description and for who reads its answers. */
import { z } from 'zod';
import type { ToldCauses } from '../btf/told.ts';
import type { Entry } from '../core/model.ts';
import type { Awaited } from '../report/awaited.ts';
import type { KmodHistory } from '../report/matrix.ts';
import type {
  BlameReport,
  Explanation,
  KmodReport,
  RunLine,
  RunPage,
  RunReport,
  SymbolReport,
  WaiverReport,
} from '../report/report.ts';

/** Schemas that have a name in the description. */
export const named = z.registry<{ readonly id: string; readonly description?: string }>();

export const as = <S extends z.ZodType>(id: string, schema: S): S => {
  named.add(schema, { id });
  return schema;
};

const text = z.string();
export const id = z.int().min(0);
const count = z.int().min(0);
const time = z.number().describe('milliseconds since the epoch');
export const verdict = as('Verdict', z.enum(['promote', 'block', 'hold']));
const crc = z.string().regex(/^0x[0-9a-f]{8}$/);
const names = z.array(text);

const OUTCOMES = ['ok', 'already-broken', 'inconclusive', 'unattributed', 'broken'] as const;
export const outcome = as('Outcome', z.enum([...OUTCOMES, 'waiting', 'building']));
const tallied = as('Tallied', z.enum([...OUTCOMES, 'waiting', 'building', 'waived']));
const status = z.enum(['running', 'held', 'done', 'observed', 'superseded', 'taken-over', 'cancelled']);

const kernelRef = as('KernelRef', z.object({ id, nvr: text }));
const ofTask = { id, url: text.exactOptional() };
const task = as('Task', z.object(ofTask));
const held = z.object({ by: text, at: time, reason: text }).nullable();

/** Which run, of what. */
export const ofRun = { run: text.describe('GATE/BUILD/GENERATION'), gate: text, build: id, nvr: text };
const standing = {
  ...ofRun,
  url: text.exactOptional(),
  status,
  state: text.describe('one line: what it waits for, or how it ended'),
  verdict: verdict.nullable(),
  held_by: held.describe("the person's hold that nobody has released"),
  started_at: time,
  ended_at: time.nullable(),
};

export const runLine: z.ZodType<RunLine> = as(
  'RunLine',
  z.object({
    ...standing,
    kmods: count.describe('how many it tries'),
    outcomes: z.partialRecord(tallied, count),
    to_rebuild: count.exactOptional(),
  }),
);

export const runPage: z.ZodType<RunPage> = as(
  'RunPage',
  z.object({
    runs: z.array(runLine),
    older: text.nullable().describe('the run after which older ones begin, as "before"; null: there is none'),
  }),
);

const required = z.object({ symbol: text, required: crc });
const provided = z.object({ symbol: text, provider: text });

const symbols: z.ZodType<SymbolReport> = as(
  'Symbols',
  z.object({
    arch: text,
    imports: count,
    answer: z.enum(['compatible', 'incompatible', 'inconclusive']),
    cause: text.nullable(),
    missing: z.array(required),
    changed: z.array(z.object({ symbol: text, required: crc, provided: crc, provider: text })),
    from_kmods: z.array(provided),
    from_broken: z.array(provided),
    remarks: z
      .array(
        z.looseObject({
          kind: z.enum([
            ...(['requires', 'untold', 'built-for', 'several-crcs'] as const),
            ...(['gpl-only', 'namespace', 'unexported', 'vermagic'] as const),
          ]),
          text,
        }),
      )
      .exactOptional(),
  }),
);

const change = z
  .object({ before: z.int(), after: z.int().nullable(), provider: text })
  .describe('CRCs as numbers');
const error = z.object({
  arch: text,
  kind: z.enum(['source', 'dependency', 'kernel', 'outcome', 'machine']),
  file: text,
  line: count,
  message: text,
  identifier: text.exactOptional(),
  change: change.exactOptional(),
});

export const kmodReport: z.ZodType<KmodReport> = as(
  'KmodReport',
  z.object({
    name: text,
    nvr: text,
    required: z.boolean().describe('false: advisory'),
    outcome,
    arches: z.record(text, outcome),
    cause: text,
    whose: z
      .enum(['kmod', 'dependency', 'kernel', 'system', 'builder', 'person', 'time'])
      .nullable()
      .describe('whose failure it is'),
    waived: text.nullable(),
    tasks: z.array(
      z.object({ ...ofTask, against: text.exactOptional(), shows: z.literal(true).exactOptional() }),
    ),
    errors: z.array(error),
    symbols: z.array(symbols).exactOptional(),
  }),
);

const partial = z.object({ why: text, listed: count }).exactOptional();
const listed = z
  .array(z.object({ symbol: text, before: z.int(), after: z.int().nullable(), provider: text }))
  .nullable();
const kernelChange = z.object({
  baseline: kernelRef,
  unreadable: text.nullable(),
  arches: z.array(
    z.object({
      ...{ arch: text, common: count, added: count, removed: count, changed: count },
      ...{ everything: z.boolean(), partial, listed },
    }),
  ),
});

const blame: z.ZodType<BlameReport> = as(
  'Blame',
  z.object({
    arch: text,
    symbol: text,
    provided: text.nullable(),
    provider: text.nullable(),
    listed: z.boolean(),
    kmods: z.array(z.object({ name: text, required: text })),
  }),
);

const declared = z.enum(['function', 'struct', 'union', 'enum', 'typedef', 'variable']);
const causes: z.ZodType<ToldCauses> = as(
  'Causes',
  z.object({
    ...{ arch: text, baseline: text, why: text.nullable(), more: count },
    symbols: z.object({
      ...{ changed: count, functions: count, explained: count, variables: count, modules: count },
    }),
    causes: z.array(
      z.object({
        ...{ kind: declared, name: text, symbols: count, unchanged: count },
        members: z.array(z.object({ name: text, was: text.nullable(), now: text.nullable() })),
        size: z.object({ was: count, now: count }).nullable(),
      }),
    ),
    kmods: z.array(
      z.object({
        ...{ kmod: text, changed: count, causes: z.array(count) },
        way: z.object({ symbol: text, steps: names }).nullable(),
      }),
    ),
    errors: z.array(z.object({ kmod: text, message: text, was: text.nullable(), now: text.nullable() })),
    changelog: z
      .object({
        lines: count,
        candidates: z.array(z.object({ text, names })),
        gap: text.nullable(),
      })
      .nullable(),
  }),
);

const awaited: z.ZodType<Awaited> = as(
  'Awaited',
  z.object({
    what: text,
    kmod: text.exactOptional(),
    from: z.enum(['builders', 'hub']),
    task: task.exactOptional(),
    since: time,
    usual: z.number().describe('milliseconds').exactOptional(),
  }),
);

const runReport: z.ZodType<RunReport> = as(
  'RunReport',
  z.object({
    ...standing,
    reasons: names,
    kmods: z.array(kmodReport),
    baseline: kernelRef.nullable(),
    needs_rebuild: names,
    kernel_change: kernelChange.nullable(),
    since_list: z.array(z.object({ arch: text, listed, partial })).exactOptional(),
    blame: z.array(blame).exactOptional(),
    causes: z.array(causes).exactOptional(),
    awaited: z.array(awaited).exactOptional(),
    tag_changes: z.array(z.object({ change: text, result: text, task: task.exactOptional() })),
    rebuilds: z.array(
      z.object({
        ...{ kmod: text, target: text, result: text, nvr: text.nullable() },
        task: task.exactOptional(),
      }),
    ),
    pruned_at: time.exactOptional(),
  }),
);

const entry: z.ZodType<Entry> = as(
  'Entry',
  z.object({
    at: time,
    kind: z.enum([
      ...(['kernel', 'run', 'symbols', 'causes', 'asked', 'answered'] as const),
      ...(['ended', 'state', 'verdict', 'person', 'closed'] as const),
    ]),
    gate: text.nullable(),
    build: id,
    nvr: text,
    run: text.nullable(),
    text,
  }),
);

export const explanation: z.ZodType<Explanation> = as(
  'Explanation',
  z.object({
    build: id,
    nvr: text,
    runs: z.array(runReport).describe('newest first'),
    journal: z.array(entry),
  }),
);

export const kmodHistory: z.ZodType<KmodHistory> = as(
  'KmodHistory',
  z.object({
    name: text,
    troubles: z.array(
      z.object({
        ...ofRun,
        kmod: kmodReport,
        since: z.object({ run: text, build: id, nvr: text, at: time }).nullable(),
        source: text.exactOptional(),
        who: text.describe('who must act'),
        steps: z.array(z.object({ does: text, command: text.nullable() })),
      }),
    ),
    cells: z.array(z.object({ ...ofRun, outcome: tallied, at: time })).describe('newest first'),
    more: z.boolean(),
  }),
);

const waiver: z.ZodType<WaiverReport> = as(
  'Waiver',
  z.object({
    ...{ id, at: time, by: text, reason: text, gate: text.nullable(), kernel: text, kmod: text },
    until: time.nullable(),
    state: z.enum(['holds', 'expired', 'ended']),
    ended: z.object({ at: time, by: text }).nullable(),
  }),
);

export const waivers: z.ZodType<{ readonly waivers: readonly WaiverReport[] }> = as(
  'Waivers',
  z.object({ waivers: z.array(waiver) }),
);
