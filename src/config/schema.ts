/**
 * The shape of the configuration file: which keys there are, what each may be, and what goes without saying.
 * An error text in here completes the sentence "expected …"; mistakes.ts writes the rest of it.
 */
import { z } from 'zod';
import { DEFAULT_POLICY } from '../core/policy.ts';
import { greenwave } from './greenwave.ts';
import { mail, notices } from './notice.ts';
import { messages, resultsdb, tell } from './tell.ts';
import {
  choice,
  DAY,
  duration,
  formatDuration,
  httpUrl,
  integer,
  list,
  matching,
  nonEmpty,
  parseDuration,
  parseSpan,
  quietTime,
  textRead,
  url,
} from './values.ts';

export {
  choice,
  formatDuration,
  httpUrl,
  list,
  matching,
  nonEmpty,
  parseDuration,
  parseSpan,
  parseTime,
  textRead,
} from './values.ts';

const readAddress = (text: string) => {
  const [, host, port] = /^(\[[0-9A-Fa-f:.]+\]|[^\s:[\]]+):(\d+)$/.exec(text) ?? [];
  if (host === undefined || Number(port) > 65_535) return undefined;
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
};
const listen = textRead('HOST:PORT, such as "127.0.0.1:8642" or "[::1]:8642"', readAddress);
/** False: nowhere; true: where the dashboard is. */
const metrics = z.union([z.boolean(), textRead('', readAddress)], {
  error: 'true, false, or HOST:PORT such as "127.0.0.1:9642"',
});

const tagName = matching(/^\S+$/, 'the name of a tag');
const packageName = matching(/^\S+$/, 'the name of a package, such as "kernel"');
const pattern = matching(/^\S+$/, 'a package name or a pattern of names, such as "kmod-*"');
const tags = list(tagName, 'a list of tags').default([]);
const patterns = list(pattern, 'a list of package name patterns').default([]);

/** How the gate may log in, as Koji's `authtype` names it. */
export const AUTHTYPES = ['ssl', 'kerberos', 'password', 'noauth'] as const;

const koji = z.strictObject(
  {
    profile: nonEmpty.optional(),
    server: httpUrl.optional(),
    weburl: httpUrl.optional(),
    topurl: httpUrl.optional(),
    authtype: z
      .enum(AUTHTYPES, {
        error: '"ssl", "kerberos", "password" or "noauth"',
      })
      .optional(),
    user: nonEmpty.optional(),
    password: nonEmpty.optional(),
    plaintext: z.boolean({ error: 'true or false' }).optional(),
    cert: nonEmpty.optional(),
    key: nonEmpty.optional(),
    serverca: nonEmpty.optional(),
    no_ssl_verify: z.boolean({ error: 'true or false' }).optional(),
    keytab: nonEmpty.optional(),
    principal: nonEmpty.optional(),
    timeout: duration.optional(),
  },
  { error: 'a [koji] table with a profile or a server' },
);

const amqpUrl = url('an amqp:// or amqps:// URL', 'amqp:', 'amqps:');
const AMQP_URLS = 'an amqp:// or amqps:// URL, or a list of them';
const truth = z.boolean({ error: 'true or false' });

/** Absent keys are filled in by bus.ts, as fedora-messaging's configuration may have them. */
const bus = z.strictObject(
  {
    url: z.union([amqpUrl, z.array(amqpUrl).min(1, { error: AMQP_URLS })], { error: AMQP_URLS }).optional(),
    fedora_messaging: nonEmpty.optional(),
    protocol: choice('amqp-0-9-1', 'amqp-1.0').optional(),
    plaintext: truth.optional(),
    login: choice('password', 'external').optional(),
    cert: nonEmpty.optional(),
    key: nonEmpty.optional(),
    serverca: nonEmpty.optional(),
    exchange: nonEmpty.optional(),
    queue: nonEmpty.optional(),
    bindings: list(nonEmpty, 'a list of routing key patterns')
      .min(1, { error: 'one routing key pattern or more: without any the queue stays empty' })
      .optional(),
    addresses: list(nonEmpty, 'a list of addresses')
      .min(1, { error: 'one address or more: without any there is nothing to hear' })
      .optional(),
    prefetch: integer(1, 65_535).optional(),
    declare: truth.optional(),
    queue_type: choice('classic', 'quorum').optional(),
    expires: textRead('a duration in quotes, up to 24 days, such as "7d", or "never"', (text) =>
      text === 'never' ? null : parseDuration(text),
    ).optional(),
    max_length: integer(1, 100_000_000).optional(),
    delivery_limit: integer(1, 10_000).optional(),
    dead_letter: nonEmpty.optional(),
    client_properties: z
      .record(z.string(), z.union([z.string(), z.array(z.string())]), {
        error: 'a table of texts and lists of texts',
      })
      .optional(),
  },
  { error: 'a [bus] table' },
);

/** No timer waits for it, and the retries of a day are counted. */
const keep = textRead('a duration of a day or more in quotes, such as "180d", or "forever"', (text) => {
  const ms = parseSpan(text) ?? 0;
  return text === 'forever' ? null : ms >= DAY ? ms : undefined;
});

const store = z.strictObject(
  {
    url: matching(
      /^(sqlite:.|postgres(ql)?:\/\/.)/,
      '"sqlite:PATH", "sqlite::memory:" or "postgres://USER@HOST/DATABASE"',
    ),
    password_file: nonEmpty.optional(),
    plaintext: truth.optional(),
    keep: keep.prefault('180d'),
  },
  { error: 'a [store] table with a url' },
);

const http = z.strictObject(
  {
    listen,
    metrics: metrics.default(true),
    tokens: nonEmpty.optional(),
    read: choice('open', 'token').default('open'),
  },
  { error: 'a [http] table with listen' },
);

const sweep = z.strictObject(
  { every: duration.prefault('5m'), poll: duration.prefault('30s'), settle: duration.prefault('60s') },
  { error: 'a [sweep] table' },
);

const run = z.strictObject({ stop_within: duration.prefault('20s') }, { error: 'a [run] table' });

const arches = list(
  matching(/^[a-z]\w*$/, 'an architecture, such as "x86_64"'),
  'a list of architectures',
).min(1, {
  error: 'one architecture or more, such as "x86_64"',
});
/** A duration of any length, which no timer waits for at once, or no end. */
const limit = (standard: number | null) =>
  textRead('a duration in quotes, such as "12h", "3d" or "30d", or "none"', (text) =>
    text === 'none' ? null : parseSpan(text),
  ).prefault(standard === null ? 'none' : formatDuration(standard));

/** Where nothing is said, a waiver ends after so long at the most, in ms. */
export const LONGEST_WAIVER = 90 * DAY;

const policy = z
  .strictObject(
    {
      inconclusive: choice('hold', 'block', 'pass').default(DEFAULT_POLICY.inconclusive),
      unattributed: choice('block', 'hold', 'pass').default(DEFAULT_POLICY.unattributed),
      proof: choice('buildroot', 'repo', 'any').default(DEFAULT_POLICY.proof),
      evidence_age: limit(DEFAULT_POLICY.evidence_age),
      advisory_limit: integer(0, 10_000).nullable().default(DEFAULT_POLICY.advisory_limit),
      supersede: choice('cancel', 'finish', 'keep').default(DEFAULT_POLICY.supersede),
      retries: z
        .strictObject(
          {
            kmod: integer(0, 100).default(DEFAULT_POLICY.retries.kmod),
            run: integer(0, 10_000).default(DEFAULT_POLICY.retries.run),
            day: integer(0, 100_000).default(DEFAULT_POLICY.retries.day),
          },
          { error: 'a table with kmod, run and day' },
        )
        .prefault({}),
      longest_build: limit(DEFAULT_POLICY.longest_build),
      longest_run: limit(DEFAULT_POLICY.longest_run),
      longest_hold: limit(DEFAULT_POLICY.longest_hold),
      after_hold: choice('block', 'promote').default(DEFAULT_POLICY.after_hold),
      longest_waiver: limit(LONGEST_WAIVER),
      quiet: list(quietTime, 'a list of quiet times')
        .default([])
        .transform((times) => times.flat()),
      wait_for: choice('greenwave').nullable().default(DEFAULT_POLICY.wait_for),
    },
    { error: 'a [gate.policy] table' },
  )
  .prefault({});

const tagChange = z
  .strictObject({ tag: tags, untag: tags }, { error: 'a [gate.on_fail] table' })
  .prefault({});

const gate = z.strictObject(
  {
    name: matching(/^[\w.+-]+$/, 'a name of letters, digits and -_.+'),
    kernels: list(packageName, 'a list of kernel package names, such as ["kernel"]').min(1, {
      error: 'one kernel package name or more, such as ["kernel"]',
    }),
    watch: tagName,
    mode: choice('enforce', 'observe').default('enforce'),
    strategy: choice('rebuild', 'symbols', 'symbols-then-rebuild', 'symbols-and-rebuild').default('rebuild'),
    variant: matching(/^[a-z0-9-]*$/, 'a variant of the kernel, such as "rt" or "64k"').default(''),
    stablelist: nonEmpty.optional(),
    severities: nonEmpty.optional(),
    on_stablelist: choice('block', 'warn').default('block'),
    arches: arches.optional(),
    baseline: matching(
      /^\S+-[^-\s]+-[^-\s]+$/,
      'the NVR of a kernel, such as "kernel-5.14.0-70.el9"',
    ).optional(),
    policy,
    kmods: z.strictObject(
      {
        tag: tagName,
        include: list(pattern, 'a list of package name patterns')
          .min(1, { error: 'one pattern or more, such as "kmod-*": a gate with no kmods lets nothing pass' })
          .default(['*']),
        exclude: patterns,
        advisory: patterns,
        arches: z
          .record(pattern, arches, { error: 'a table of patterns, each with a list of architectures' })
          .default({}),
      },
      { error: 'a [gate.kmods] table with a tag' },
    ),
    build: z
      .strictObject(
        {
          target: matching(/^\S+$/, 'the name of a build target'),
          repo: choice('wait', 'pin', 'sidetag').default('wait'),
          priority: integer(-20, 50).default(5),
          max_active: integer(1, 10_000).default(20),
        },
        { error: 'a [gate.build] table with a target' },
      )
      .optional(),
    on_pass: z
      .strictObject(
        {
          tag: tags,
          untag: tags,
          rebuild: z
            .strictObject(
              {
                target: matching(/^\S+$/, 'the name of a build target'),
                draft: z.boolean({ error: 'true or false' }).default(false),
                branch: matching(/^[^\s#]+$/, 'the name of a branch').optional(),
              },
              { error: 'a table with a target' },
            )
            .optional(),
        },
        { error: 'a [gate.on_pass] table' },
      )
      .prefault({}),
    on_fail: tagChange,
  },
  { error: 'a [[gate]] table' },
);

const off = z.boolean({ error: 'true or false' }).default(false);

const waiverdb = z.strictObject(
  {
    url: httpUrl,
    product_version: nonEmpty,
    testcase: matching(
      /GATE/,
      'a testcase with GATE for the name of the gate, such as "kmod-gate.GATE"',
    ).default('kmod-gate.GATE'),
    write: off,
    token_file: nonEmpty.optional(),
    proxy: off,
    plaintext: off,
  },
  { error: 'a [waiverdb] table with url and product_version' },
);

const gates = 'one [[gate]] table or more, in double brackets';

/** The whole file, as a TOML parser hands it over. */
export const ConfigFile = z.strictObject({
  koji,
  bus: bus.optional(),
  store,
  http: http.optional(),
  sweep: sweep.prefault({}),
  run: run.prefault({}),
  waiverdb: waiverdb.optional(),
  greenwave: greenwave.optional(),
  tell: tell.optional(),
  messages: messages.optional(),
  resultsdb: resultsdb.optional(),
  mail: mail.optional(),
  notice: notices.optional(),
  gate: z.array(gate, { error: gates }).min(1, { error: gates }),
});

/** The file with defaults filled in, durations in milliseconds, `listen` taken apart. */
export type ConfigFile = z.infer<typeof ConfigFile>;

/** The keys that the table at `path` may have, in the configuration or by another schema; none where it has no table. */
export function keysAt(path: readonly PropertyKey[], schema: unknown = ConfigFile): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault || schema instanceof z.ZodDefault)
    return keysAt(path, schema.unwrap());
  const [key, ...rest] = path;
  if (schema instanceof z.ZodArray) return keysAt(rest, schema.element);
  if (!(schema instanceof z.ZodObject)) return [];
  return key === undefined ? Object.keys(schema.shape) : keysAt(rest, schema.shape[String(key)]);
}
