/** A blocked and a running kernel as the store would tell of them. */
import type { Entry } from '../../src/core/model.ts';
import type { Explanation, KmodReport, RunReport } from '../../src/core/report.ts';
import type { Sources } from '../../src/http/dashboard.ts';

const MINUTE = 60_000;

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
  cause:
    "does not build on x86_64: src/mod/common/nl/nl_handler.c:205:10: initialization of 'int (*)(const struct genl_split_ops *)' from incompatible pointer type",
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
  whose: null,
  waived: null,
};

const INCONCLUSIVE: KmodReport = {
  name: 'kmod-vendor-reset',
  nvr: 'kmod-vendor-reset-0.1.1-6.el10',
  required: false,
  outcome: 'inconclusive',
  cause: 'tested the wrong kernel on aarch64: kernel-6.12.0-140.el10; its BuildRequires pin another kernel',
  tasks: [task(9118), task(9131), task(9140)],
  errors: [],
  symbols: [],
  whose: null,
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
      const open = { cause: '', errors: [] };
      return i < 10
        ? { ...kmod, ...open, outcome: 'building' as const }
        : { ...kmod, ...open, outcome: 'waiting' as const, tasks: [] };
    }),
    baseline: { id: 4700, nvr: 'kernel-6.12.0-140.el10' },
    needs_rebuild: [],
    kernel_change: null,
    blame: [],
    tag_changes: [],
    started_at: now - 4 * MINUTE,
    ended_at: null,
  };
}

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
    line(0, 'run', `${run.nvr} stands before gate ${run.gate}: 12 kmods to try`),
    line(0.1, 'asked', builds),
    ...run.kmods.map(({ name, cause }, i) =>
      line(5 + 2 * i, 'ended', `scratch build of ${name} in kmods-el10: ${cause}`),
    ),
    ...(run.verdict ? [line(31, 'verdict', `${run.verdict}: ${run.reasons.join('; ')}`)] : []),
    ...(run.ended_at ? [line(32, 'closed', run.state)] : []),
  ];
}

/** A running and a blocked kernel, everything healthy; what a test changes goes into `other`. */
export function exampleSources(now: number, other: Partial<Sources> = {}): Sources {
  const runs = [runningRun(now), blockedRun(now)];
  const explanations = runs.map(
    (run): Explanation => ({ build: run.build, nvr: run.nvr, runs: [run], journal: journalOf(run) }),
  );
  return {
    runs: async () => runs,
    explain: async (subject) =>
      explanations.find(({ build, nvr }) => subject === nvr || subject === String(build)),
    health: () => ({
      started_at: now - 300 * MINUTE,
      looked_at: now - 4_000,
      trouble: null,
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
