/** A blocked, a running and a held kernel, and waivers, as the store would tell of them. */
import type { Entry } from '../../src/core/model.ts';
import type { Machine, Sources } from '../../src/http/dashboard.ts';
import type { Word } from '../../src/http/routes.ts';
import { cellOf, type KmodHistory, matrixOf } from '../../src/report/matrix.ts';
import { mendOf, needOf, sourceOf } from '../../src/report/needs.ts';
import {
  type Explanation,
  type KmodReport,
  lineOf,
  type RunReport,
  type WaiverReport,
} from '../../src/report/report.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const task = (id: number) => ({ id, url: `https://koji.example.org/koji/taskinfo?taskID=${id}` });

const BUILDING_KMODS = [
  'kmod-acpi-call-1.2.2-3.el10',
  'kmod-bbswitch-0.8-9.el10',
  'kmod-drbd-9.2.14-1.el10',
  'kmod-evdi-1.14.10-1.el10',
  'kmod-lttng-2.13.19-1.el10',
  'kmod-nvidia-open-570.172.08-1.el10',
  'kmod-openafs-1.8.14-2.el10',
  'kmod-rtl8821ce-5.5.2.1-4.el10',
  'kmod-v4l2loopback-0.15.1-1.el10',
  'kmod-zfs-2.3.4-1.el10',
];

const BROKEN: KmodReport = {
  name: 'kmod-jool',
  nvr: 'kmod-jool-4.1.14-2.el10',
  required: true,
  outcome: 'broken',
  arches: { x86_64: 'broken', aarch64: 'ok' },
  cause:
    "does not build on x86_64: src/mod/common/nl/nl_handler.c:205: initialization of 'int (*)(const struct genl_split_ops *)' from incompatible pointer type",
  tasks: [task(9117)],
  errors: [
    {
      arch: 'x86_64',
      kind: 'source',
      file: 'src/mod/common/nl/nl_handler.c',
      line: 205,
      message: "initialization of 'int (*)(const struct genl_split_ops *)' from incompatible pointer type",
    },
    {
      arch: 'x86_64',
      kind: 'source',
      file: 'src/mod/common/xlator.c',
      line: 88,
      message: "'struct net' has no member named 'ct'",
    },
  ],
  symbols: [],
  whose: 'kmod',
  waived: null,
};

const INCONCLUSIVE: KmodReport = {
  name: 'kmod-vendor-reset',
  nvr: 'kmod-vendor-reset-0.1.1-6.el10',
  required: false,
  outcome: 'inconclusive',
  arches: { x86_64: 'ok', aarch64: 'inconclusive' },
  cause: 'tested the wrong kernel on aarch64: kernel-6.12.0-140.el10; its BuildRequires pin another kernel',
  tasks: [task(9118), task(9131), task(9140)],
  errors: [],
  symbols: [],
  whose: 'kernel',
  waived: null,
};

function blockedRun(now: number): RunReport {
  const nvr = 'kernel-6.12.0-141.el10';
  return {
    run: 'el10/4711/1',
    gate: 'el10',
    build: 4711,
    nvr,
    url: 'https://koji.example.org/koji/buildinfo?buildID=4711',
    status: 'done',
    state: 'blocked: moved from kernels-el10-gate to kernels-el10-blocked',
    verdict: 'block',
    reasons: [
      `${BROKEN.nvr}: ${BROKEN.cause}`,
      `${INCONCLUSIVE.nvr} (advisory, inconclusive): ${INCONCLUSIVE.cause}`,
      `10 of 12 kmods build against ${nvr}`,
    ],
    kmods: [
      ...BUILDING_KMODS.map((built, i) => ({
        name: built.replace(/-[^-]+-[^-]+$/, ''),
        nvr: built,
        required: true,
        outcome: 'ok' as const,
        arches: { x86_64: 'ok', aarch64: 'ok' } as const,
        cause: 'builds',
        tasks: [task(9101 + i)],
        errors: [],
        symbols: [],
        whose: null,
        waived: null,
      })),
      BROKEN,
      INCONCLUSIVE,
    ],
    baseline: { id: 4700, nvr: 'kernel-6.12.0-140.el10' },
    held_by: null,
    needs_rebuild: [],
    rebuilds: [],
    kernel_change: null,
    blame: [
      {
        arch: 'x86_64',
        symbol: 'genl_register_family',
        provided: '0x1f0b2c3d',
        provider: 'kernel-core',
        listed: true,
        kmods: [{ name: 'kmod-jool', required: '0x9e8d7c6b' }],
      },
    ],
    causes: [
      {
        ...{ arch: 'x86_64', baseline: 'kernel-6.12.0-140.el10', why: null, more: 12 },
        symbols: { changed: 8_905, functions: 3_108, explained: 3_106, variables: 140, modules: 5_657 },
        causes: [
          {
            ...{ kind: 'struct', name: 'genl_ops', symbols: 14, unchanged: 0, size: { was: 64, now: 72 } },
            members: [
              { name: 'pre_doit', was: null, now: 'int (*pre_doit)(const struct genl_split_ops *)' },
              { name: 'flags', was: 'u8 flags', now: 'unsigned long flags' },
            ],
          },
          {
            ...{ kind: 'function', name: 'genlmsg_put', symbols: 1, unchanged: 3, size: null },
            members: [
              {
                name: 'genlmsg_put',
                was: 'void *genlmsg_put(struct sk_buff *, u32, u32, const struct genl_family *, int, u8)',
                now: 'void *genlmsg_put(struct sk_buff *, u32, const struct genl_family *, int, u8)',
              },
            ],
          },
        ],
        kmods: [
          {
            ...{ kmod: 'kmod-jool', changed: 2, causes: [0, 1] },
            way: { symbol: 'genl_register_family', steps: ['genl_family.ops'] },
          },
          { kmod: 'kmod-zfs', changed: 0, causes: [], way: null },
        ],
        errors: [
          {
            ...{ kmod: 'kmod-jool', message: "too few arguments to function 'genlmsg_put'" },
            was: 'void *genlmsg_put(struct sk_buff *, u32)',
            now: 'void *genlmsg_put(struct sk_buff *, u32, int)',
          },
        ],
        changelog: {
          lines: 41,
          candidates: [{ text: 'genetlink: split ops (Bob) [RHEL-3]', names: ['struct genl_ops', 'genl'] }],
          gap: null,
        },
      },
      {
        ...{ arch: 'aarch64', baseline: 'kernel-6.12.0-140.el10', why: 'HTTP 404 <packages>', more: 0 },
        symbols: { changed: 0, functions: 0, explained: 0, variables: 0, modules: 0 },
        ...{ causes: [], kmods: [], errors: [], changelog: null },
      },
    ],
    tag_changes: [
      {
        change: `move ${nvr} from kernels-el10-gate to kernels-el10-blocked`,
        result: 'done',
        task: task(9150),
      },
      { change: `untag ${nvr} from kernels-el10-testing`, result: 'not tagged there' },
    ],
    started_at: now - 95 * MINUTE,
    ended_at: now - 63 * MINUTE,
  };
}

function runningRun(now: number): RunReport {
  const blocked = blockedRun(now);
  return {
    ...blocked,
    run: 'el10/4720/1',
    build: 4720,
    nvr: 'kernel-6.12.0-142.el10',
    url: 'https://koji.example.org/koji/buildinfo?buildID=4720',
    status: 'running',
    state: 'waits for 5 scratch builds',
    verdict: null,
    reasons: [],
    kmods: blocked.kmods.map((kmod, i) => {
      if (i < 7) return kmod;
      const open = { cause: '', errors: [], whose: null };
      return i < 10
        ? { ...kmod, ...open, outcome: 'building' as const }
        : { ...kmod, ...open, outcome: 'waiting' as const, tasks: [] };
    }),
    blame: [],
    causes: [],
    tag_changes: [],
    started_at: now - 4 * MINUTE,
    ended_at: null,
  };
}

const WAIVED = 'waived by ada until 2026-12-01 00:00 UTC: the vendor ships a fix on Friday';

/** What each kmod of the held kernel that is not fine came to. */
const FINDINGS: Readonly<Record<string, Partial<KmodReport>>> = {
  'kmod-acpi-call': { cause: 'loads as it is: 18 symbols fit', tasks: [] },
  'kmod-bbswitch': { cause: 'needs a rebuild, and builds' },
  'kmod-drbd': {
    outcome: 'already-broken',
    whose: 'kmod',
    cause:
      "does not build on s390x: drbd/drbd_nl.c:77: too few arguments to function 'genlmsg_put_reply'; nor does it build against kernel-6.12.0-140.el10",
  },
  'kmod-evdi': {
    outcome: 'unattributed',
    whose: 'kmod',
    cause:
      "does not build on x86_64: module/evdi_gem.c:214: implicit declaration of function 'drm_gem_object_lookup_unlocked_with_reference' [-Werror=implicit-function-declaration] (drm_gem_object_lookup_unlocked_with_reference is gone from this kernel, in kernel-modules-core); nothing shows whether it builds against kernel-6.12.0-140.el10: no repo of kmods10-build holds that one any more",
  },
  'kmod-lttng': {
    outcome: 'broken',
    whose: 'dependency',
    cause:
      'its build dependencies cannot be met on aarch64: nothing provides elfutils-libelf-devel >= 0.193 needed by kmod-lttng-2.13.19-1.el10.src',
  },
  'kmod-nvidia-open': {
    outcome: 'inconclusive',
    whose: 'builder',
    cause: 'trouble in the build system on x86_64: No space left on device, after 3 tries',
    tasks: [task(9201), task(9214), task(9230)],
  },
  'kmod-jool': { waived: WAIVED },
};

/** Kmods of every kind: one is waived, one was broken before, of one nobody can tell; and a person holds it. */
function heldRun(now: number): RunReport {
  const blocked = blockedRun(now);
  const nvr = 'kernel-6.12.0-143.el10';
  const kmods = blocked.kmods.map((kmod) => ({ ...kmod, ...FINDINGS[kmod.name] }));
  const reasonOf = (name: string, note = '') => {
    const kmod = kmods.find((one) => one.name === name);
    return `${kmod?.nvr}${note}: ${kmod?.cause}`;
  };
  return {
    ...blocked,
    run: 'el10/4730/1',
    build: 4730,
    nvr,
    url: 'https://koji.example.org/koji/buildinfo?buildID=4730',
    status: 'held',
    state: 'held by grace: QA looks at it first; kmod-gate release ends it',
    verdict: 'block',
    reasons: [
      reasonOf('kmod-evdi'),
      reasonOf('kmod-lttng'),
      reasonOf('kmod-nvidia-open', ' (inconclusive)'),
      reasonOf('kmod-jool', ` (${WAIVED})`),
      reasonOf('kmod-drbd', ' (already broken)'),
      `1 of 12 kmods loads into ${nvr} as it is, 5 more build against it`,
      'needs a rebuild: kmod-bbswitch',
    ],
    kmods,
    held_by: { by: 'grace', at: now - 20 * MINUTE, reason: 'QA looks at it first' },
    needs_rebuild: ['kmod-bbswitch'],
    rebuilds: [
      {
        kmod: 'kmod-bbswitch',
        target: 'kmods10',
        result: 'done',
        nvr: 'kmod-bbswitch-0.8-9.1.el10',
        task: task(9301),
      },
      { kmod: 'kmod-zfs', target: 'kmods10', result: 'asked', nvr: null },
    ],
    blame: [],
    tag_changes: [],
    started_at: now - 50 * MINUTE,
    ended_at: null,
  };
}

const waivers = (now: number): WaiverReport[] => [
  {
    id: 3,
    state: 'ended',
    at: now - 2 * DAY,
    by: 'grace',
    reason: 'by mistake',
    gate: 'el10',
    kernel: 'next',
    kmod: 'kmod-*',
    until: null,
    ended: { at: now - DAY, by: 'ada' },
  },
  {
    id: 2,
    state: 'holds',
    at: now - 3 * DAY,
    by: 'ada',
    reason: 'the vendor ships a fix on Friday, see <https://bugs.example.org/4711>',
    gate: null,
    kernel: 'kernel-6.12.0-14?.el10',
    kmod: 'kmod-jool',
    until: now + 4 * DAY,
    ended: null,
  },
  {
    id: 1,
    state: 'expired',
    at: now - 30 * DAY,
    by: 'ada',
    reason: 'as agreed',
    gate: 'el10',
    kernel: 'kernel-6.12.0-9*',
    kmod: 'stablelist',
    until: now - 20 * DAY,
    ended: null,
  },
];

function journalOf(run: RunReport): Entry[] {
  const line = (minutes: number, kind: Entry['kind'], text: string): Entry => ({
    at: run.started_at + minutes * MINUTE,
    kind,
    gate: kind === 'kernel' ? null : run.gate,
    build: run.build,
    nvr: run.nvr,
    run: run.run,
    text,
  });
  const builds = run.kmods.map(({ name }) => `scratch build of ${name} in kmods-el10`).join(', ');
  return [
    line(0, 'kernel', `${run.nvr} is complete`),
    line(0, 'run', 'stands before the gate: 12 kmods to try'),
    line(0.1, 'asked', builds),
    ...run.kmods.map(({ name, cause }, i) =>
      line(5 + 2 * i, 'ended', `scratch build of ${name} in kmods-el10: ${cause}`),
    ),
    ...(run.verdict ? [line(31, 'verdict', `verdict ${run.verdict}: ${run.reasons.join('; ')}`)] : []),
    ...(run.ended_at ? [line(32, 'closed', run.state)] : []),
  ];
}

const placeOf = ({ run, gate, build, nvr }: RunReport) => ({ run, gate, build, nvr });

function kmodHistoryOf(
  runs: readonly RunReport[],
  name: string,
  gate: Parameters<typeof needOf>[1],
): KmodHistory | undefined {
  const found = runs.flatMap((run) => {
    const kmod = run.kmods.find((one) => one.name === name);
    return kmod ? [{ run, kmod }] : [];
  });
  const [first] = found.filter(({ kmod }) => kmod.outcome !== 'building' && kmod.outcome !== 'waiting');
  if (!first) return undefined;
  const { run, kmod } = first;
  const source = sourceOf(run, kmod);
  const { who, steps } = mendOf(run, kmod, gate);
  const last = found.at(-1)?.run ?? run;
  const { gate: _, ...began } = placeOf(last);
  const since = { ...began, at: last.started_at };
  const trouble = {
    ...{ ...placeOf(run), kmod, since, who, steps },
    ...(source !== undefined && { source }),
  };
  return {
    name,
    troubles: kmod.outcome === 'ok' ? [] : [trouble],
    cells: found.map((one) => ({ ...placeOf(one.run), outcome: cellOf(one.kmod), at: one.run.started_at })),
    more: false,
  };
}

/** A held, a running and a blocked kernel, waivers, everything healthy; what a test changes goes into `other`. */
export function exampleSources(now: number, other: Partial<Sources> = {}): Sources {
  const runs = [heldRun(now), runningRun(now), blockedRun(now)];
  const explanations = runs.map(
    (run): Explanation => ({ build: run.build, nvr: run.nvr, runs: [run], journal: journalOf(run) }),
  );
  const gate = {
    watch: 'kernels-el10-gate',
    on_fail: { tag: ['kernels-el10-blocked'], untag: ['kernels-el10-gate'] },
    kmods: { tag: 'kmods10' },
  };
  const needs = runs.flatMap((run) => needOf(run, gate) ?? []);
  const cells = new Map(
    runs.map(({ run, kmods }) => [run, new Map(kmods.map((kmod) => [kmod.name, cellOf(kmod)]))]),
  );
  const symbols = (run: RunReport) =>
    (run.blame ?? []).map((blamed) => ({ ...blamed, ...placeOf(run), at: run.started_at }));
  const causes = (run: RunReport) =>
    (run.causes ?? []).flatMap(({ arch, baseline, causes, kmods }) =>
      causes.map((cause, i) => ({
        ...{ ...placeOf(run), at: run.started_at, arch, baseline, cause },
        kmods: kmods.filter((hit) => hit.causes.includes(i)).map(({ kmod }) => kmod),
      })),
    );
  return {
    gates: ['el10'],
    needOf: (report) => needOf(report, gate),
    needs: async (limit) => ({ needs: needs.slice(0, limit), more: Math.max(0, needs.length - limit) }),
    matrix: async () => matrixOf(runs.map(lineOf), cells, null),
    kmod: async (name) => kmodHistoryOf(runs, name, gate),
    symbol: async (symbol) => ({
      ...{ symbol, looked: runs.length, older: null },
      hits: runs.flatMap(symbols).filter((hit) => hit.symbol === symbol),
    }),
    cause: async ({ kind, name }) => ({
      ...{ kind, name, looked: runs.length, older: null },
      hits: runs.flatMap(causes).filter(({ cause }) => cause.kind === kind && cause.name === name),
    }),
    onChange: () => () => {},
    runs: async () => ({ runs: runs.map(lineOf), older: null }),
    revision: async () => undefined,
    explain: async (subject) =>
      explanations.find(({ build, nvr }) => subject === nvr || subject === String(build)),
    waivers: async () => waivers(now),
    health: () => ({
      started_at: now - 300 * MINUTE,
      looked_at: now - 4_000,
      trouble: null,
      login: { state: 'works', since: now - 299 * MINUTE },
      bus: {
        connected: true,
        since: now - 200 * MINUTE,
        received: 1274,
        undecodable: 2,
        lastMessageAt: now - 9_000,
      },
    }),
    ...other,
  };
}

/**
 * What the API has beside that: a gate, and somebody who hears.
 * @param hear what people say, and by whom
 */
export function exampleMachine(hear: (word: Word, by: string) => void = () => {}): Machine {
  const run = { run: 'el10/4711/1', gate: 'el10', build: 4711, nvr: 'kernel-6.12.0-141.el10' };
  return {
    ...{ version: '1.2.3', access: { closed: false } },
    gateReports: [
      {
        ...{ name: 'el10', kernels: ['kernel'], watch: 'kernels-el10-gate' },
        ...{ mode: 'enforce', strategy: 'rebuild' },
        kmods: { tag: 'kmods10', include: ['kmod-*'], exclude: [], advisory: [] },
        on_pass: { tag: ['kernels-el10'], untag: ['kernels-el10-gate'] },
        on_fail: { tag: ['kernels-el10-blocked'], untag: ['kernels-el10-gate'] },
      },
    ],
    async say(word, by) {
      hear(word, by);
      return { said: [`${word.kind} is said`], runs: [run] };
    },
  };
}
