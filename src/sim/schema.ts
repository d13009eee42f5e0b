/**
 * The shape of a scenario file: which keys there are, what each may be, and what goes without saying. docs/rehearse.md
 * tells the same to people. An error text in here completes the sentence "expected …", as in config/schema.ts.
 */
import { z } from 'zod';
import { choice, list, matching, nonEmpty, parseSpan, parseTime, textRead } from '../config/schema.ts';

/** What a buildArch may come to in place of what the symbols say. */
export const RESULTS = [
  'fails',
  'builds',
  'mock-error',
  'init-error',
  'traceback',
  'restart',
  'hangs',
] as const;

/** What a person may do at a time of the play. */
export const DEEDS = ['waive', 'unwaive', 'hold', 'release', 'retry', 'cancel', 'tag', 'untag'] as const;

/** Name, version and release, as RPM splits an NVR at its last two dashes. */
export const NVR = /^(.+)-([^-]+)-([^-]+)$/;

/** What Koji takes for a place in version control (koji.daemon.SCM.types), here without a commit. */
const SCM_URL = /^(?:git|svn|cvs)(?:\+\w+)?:\/\/[^#\s]+$/;

const nvr = matching(NVR, 'NAME-VERSION-RELEASE, such as "kernel-5.14.0-70.el9"');
const names = (of: string) => list(nonEmpty, `a list of ${of}`).default([]);
const bool = (fallback: boolean) => z.boolean({ error: 'true or false' }).default(fallback);
const table = <T extends z.core.$ZodLooseShape>(shape: T, expected: string) =>
  z.strictObject(shape, { error: expected });

/** Longest play, in ms: a year. */
const LONGEST = 366 * 86_400_000;

/** Milliseconds since the play began. */
const time = textRead('a time since the play began in quotes, such as "0s", "90m", "30h" or "2d"', (text) => {
  const ms = parseTime(text);
  return ms !== undefined && ms <= LONGEST ? ms : undefined;
});

/** When a waiver ends, as the command `waive` takes it. */
const until = textRead('a duration in quotes such as "1d", or a date such as "2026-01-09T16:00Z"', (text) =>
  parseSpan(text) !== undefined || (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(Date.parse(text)))
    ? text
    : undefined,
);

/** A time in seconds, which becomes milliseconds. */
const seconds = (fallback: number) =>
  z
    .number({ error: 'a number of seconds' })
    .nonnegative({ error: 'a number of seconds, 0 or more' })
    .prefault(fallback)
    .transform((value) => Math.round(value * 1000));

const count = (expected: string) => z.int({ error: expected }).nonnegative({ error: expected });

/** As the hub has it: `0x` and eight digits. */
const crc = textRead('a CRC of 1 to 8 hex digits in quotes, such as "0x1"', (text) => {
  const [, digits] = /^0x([0-9a-f]{1,8})$/i.exec(text) ?? [];
  return digits && `0x${digits.toLowerCase().padStart(8, '0')}`;
});
const crcs = z.record(nonEmpty, crc, { error: 'a table of symbols with their CRCs, such as {a = "0x1"}' });
/** The symbols themselves, or a file that has them. */
const symbols = z.union([nonEmpty, crcs], {
  error: 'a file beside the scenario, or a table of symbols with their CRCs, such as {a = "0x1"}',
});
const symbolsOf = (what: string) =>
  z.record(nonEmpty, symbols, { error: `a table from ${what} to their symbols` }).default({});
const variants = symbolsOf('variants, such as "rt",');
const flavour = nonEmpty.nullable().default(null);

const timing = table(
  {
    assign: seconds(1),
    open: seconds(1),
    tag: seconds(1),
    srpm: seconds(10),
    build_arch: seconds(60),
    new_repo: seconds(30),
    repo_queue: seconds(5),
    wait_repo: seconds(10).refine((ms) => ms > 0, { error: 'a number of seconds, more than 0' }),
    repo_lag: seconds(3600),
  },
  'a [timing] table',
).prefault({});

const user = table(
  {
    name: nonEmpty,
    password: nonEmpty.nullable().default(null),
    perms: names('permissions'),
    owns: names('package names'),
  },
  'a [[users]] table',
);

const tag = table(
  {
    name: nonEmpty,
    inherits: names('tags'),
    packages: names('package names'),
    blocked: names('package names'),
    locked: bool(false),
    perm: nonEmpty.nullable().default(null),
    arches: names('architectures'),
    dist: matching(/^\.\S+$/, 'what %dist is, such as ".el9_7"')
      .nullable()
      .default(null),
  },
  'a [[tags]] table',
);

const kernel = table(
  {
    nvr,
    symvers: nonEmpty.optional(),
    symbols: crcs.optional(),
    variants,
    single: bool(false),
    tags: names('tags'),
    built: z.boolean({ error: 'true or false' }).optional(),
    rpms: symbolsOf('names of rpms, such as "kernel-modules-extra",'),
    others: names('names of rpms'),
    flavour,
    unreadable: names('names of rpms'),
    types: nonEmpty.optional(),
  },
  'a [[kernels]] table',
);

const kmod = table(
  {
    nvr,
    modversions: nonEmpty.optional(),
    imports: crcs.optional(),
    exports: crcs.default({}),
    needs: crcs.default({}),
    variants,
    tags: names('tags'),
    kernel: nonEmpty.default('kernel'),
    pins: nvr.nullable().default(null),
    also: names('names of rpms'),
    built_for: names('NVRs of kernels'),
    one_rpm: bool(false),
    flavour,
    unreadable: names('names of rpms'),
    build_time: seconds(0).nullable().default(null),
    arches: list(nonEmpty, 'a list of architectures')
      .min(1, { error: 'one architecture or more' })
      .nullable()
      .default(null),
    userspace: names('architectures'),
    scm: matching(SCM_URL, 'an SCM URL without a commit, such as "git+https://git.example.com/kmods/kmod-a"')
      .nullable()
      .default(null),
    head: matching(/^[^-\s]+$/, 'a release, such as "2.el9"')
      .nullable()
      .default(null),
  },
  'a [[kmods]] table',
);

const rule = table(
  {
    kmod: nonEmpty,
    kernel: nonEmpty.default('*'),
    arch: nonEmpty.default('*'),
    tag: nonEmpty.default('*'),
    after: time.prefault('0s'),
    before: time.nullable().default(null),
    result: choice(...RESULTS),
    status: z.int({ error: "mock's exit status, 1 or 10" }).default(1),
    log: list(z.string({ error: 'a line of text' }), 'a list of lines').default([]),
    times: z
      .int({ error: 'a whole number of tries' })
      .positive({ error: 'one try or more' })
      .nullable()
      .default(null),
  },
  'a [[rules]] table',
);

const play = table(
  {
    at: time,
    title: nonEmpty.optional(),
    heard: bool(true),
    complete: nonEmpty.optional(),
    do: choice(...DEEDS).optional(),
    end: z.literal(true, { error: 'true' }).optional(),
    by: nonEmpty.optional(),
    kernel: nonEmpty.optional(),
    kmod: nonEmpty.optional(),
    tag: nonEmpty.optional(),
    gate: nonEmpty.optional(),
    until: until.optional(),
    reason: nonEmpty.optional(),
  },
  'a [[play]] table',
);

/** The whole file, as a TOML parser hands it over. */
export const ScenarioToml = z.strictObject({
  hub: table({ version: nonEmpty.default('1.35.3'), lacks: names('methods') }, 'a [hub] table').prefault({}),
  builders: count('a number of builders').default(4),
  repo_builders: count('a number of builders').nullable().default(null),
  broken_repos: names('tags'),
  arches: list(nonEmpty, 'a list of architectures')
    .min(1, { error: 'one architecture or more' })
    .default(['x86_64']),
  timing,
  users: list(user, 'one [[users]] table or more; the first is the administrator').min(1, {
    error: 'one [[users]] table or more; the first is the administrator',
  }),
  policy: table(
    {
      tag: z
        .record(nonEmpty, list(nonEmpty, 'a list of patterns of tags'), {
          error: 'a table from users to patterns of tags',
        })
        .default({}),
      admins: bool(false),
      repo_id: names('users'),
      srpm: names('users'),
    },
    'a [policy] table',
  ).prefault({}),
  tags: list(tag, 'a list of [[tags]] tables'),
  targets: list(
    table({ name: nonEmpty, build_tag: nonEmpty, dest_tag: nonEmpty }, 'a [[targets]] table'),
    'a list of [[targets]] tables',
  ).default([]),
  kernels: list(kernel, 'a list of [[kernels]] tables'),
  kmods: list(kmod, 'a list of [[kmods]] tables'),
  rules: list(rule, 'a list of [[rules]] tables').default([]),
  play: list(play, 'a list of [[play]] tables').default([]),
});

/** The file with defaults filled in, times in milliseconds. */
export type ScenarioToml = z.infer<typeof ScenarioToml>;
