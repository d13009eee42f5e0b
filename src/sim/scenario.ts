/** What a simulated Koji holds at the start and how it behaves, read from a TOML file. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { parse as parseToml, TomlError } from 'smol-toml';
import { z } from 'zod';

/** Name, version and release of a build, as RPM splits an NVR at its last two dashes. */
export interface Nvr {
  readonly nvr: string;
  readonly name: string;
  readonly version: string;
  readonly release: string;
}

/** One line of `Module.symvers`: an exported symbol, its CRC as `0x%08x`, and whether vmlinux exports it. */
export interface KernelSymbol {
  readonly name: string;
  readonly crc: string;
  readonly vmlinux: boolean;
}

/** A kernel build. With `built` false it appears when `world.completeKernel` says so. */
export interface Kernel extends Nvr {
  readonly tags: readonly string[];
  readonly built: boolean;
  readonly symbols: readonly KernelSymbol[];
  /** The names of `symbols`. */
  readonly exports: ReadonlySet<string>;
  /** Other kernels that the same build makes, by variant: `rt`, `64k`. */
  readonly variants: Readonly<Record<string, readonly KernelSymbol[]>>;
  /** Each kernel is one rpm, as SUSE's are and EL's were; else it is one of -core and one of -modules. */
  readonly single: boolean;
}

/** A built third-party module package. */
export interface Kmod extends Nvr {
  readonly tags: readonly string[];
  /** Symbols that its modules import, with the CRCs it was built with. */
  readonly imports: readonly { readonly name: string; readonly crc: string }[];
  /** Symbols that its modules export, and those of other kmods that they import, with their CRCs. */
  readonly exports: Readonly<Record<string, string>>;
  readonly needs: Readonly<Record<string, string>>;
  /** What other rpms of the same build, `NAME-VARIANT`, import. */
  readonly variants: Readonly<Record<string, Kmod['imports']>>;
  /** The package whose `-devel` it builds against. */
  readonly kernel: string;
  /** NVR of the one kernel that its spec file asks for, whatever else is there. */
  readonly pins: string | null;
  /** The package of the kernel's build that it pins; absent: `-devel`. */
  readonly pinned?: string;
  /**
   * What else of the newest kernel its build root holds: the library of its tools, which is nothing to build a module
   * against, or its `-devel` beside the one that is pinned.
   */
  readonly beside?: 'tools' | 'devel';
  /** Milliseconds of one buildArch; null: as `timing.build_arch` says. */
  readonly build_time: number | null;
  /** What its spec file is for (ExclusiveArch); absent: all that the scenario has. */
  readonly arches?: readonly string[] | null;
  /** Architectures of one more rpm of the same build, `NAME-tools`, that has no module in it. */
  readonly userspace?: readonly string[];
}

const RESULTS = ['fails', 'builds', 'mock-error', 'init-error', 'traceback', 'restart', 'hangs'] as const;

/** What a buildArch of some kmod against some kernel comes to, in place of what the symbols say. */
export interface Rule {
  /** Shell pattern of the kmod's package name, and of the NVR of the kernel in its build root. */
  readonly kmod: string;
  readonly kernel: string;
  readonly arch: string;
  /** Pattern of the build tag's name; a side tag counts as its base. Absent: any. */
  readonly tag?: string;
  /** In force from then on, and until then, in milliseconds since the world began; absent: always. */
  readonly after?: number;
  readonly before?: number | null;
  /**
   * `fails`: build.log ends with `log`. `builds`: whatever it imports. `mock-error`, `init-error`: no build
   * root, root.log ends with `log`. `traceback`: the builder's own error. `restart`: the builder dies and
   * the task starts anew. `hangs`: until it is cancelled.
   */
  readonly result: (typeof RESULTS)[number];
  readonly log: readonly string[];
  /** Only the first so many tries of each kmod; null: all. */
  readonly times: number | null;
  /** Of `fails`: what mock exits with. 10 is its word for a package that does not build; absent: 1, as it mostly is. */
  readonly status?: number;
}

/** Milliseconds. */
export interface Timing {
  /** FREE to ASSIGNED, when a builder is idle. */
  readonly assign: number;
  /** ASSIGNED to OPEN. */
  readonly open: number;
  readonly tag: number;
  readonly srpm: number;
  readonly build_arch: number;
  readonly new_repo: number;
  /** From a repo request to its newRepo task. */
  readonly repo_queue: number;
  /** Between two looks of a waitrepo task. */
  readonly wait_repo: number;
  /** How far a repo may lag behind its tag when a build does not ask for more (the hub's RepoLag). */
  readonly repo_lag: number;
}

/** A tag: `inherits` in order of priority, `packages` and `blocked` as package names. */
export interface ScenarioTag {
  readonly name: string;
  readonly inherits: readonly string[];
  readonly packages: readonly string[];
  readonly blocked: readonly string[];
  readonly locked: boolean;
  /** Who changes the tag's builds must have this permission, if one is named. */
  readonly perm: string | null;
  readonly arches: readonly string[];
}

/** All of it. Where order matters (users, tags, builds), it is that of the file. */
export interface Scenario {
  /** The version that the hub tells, which decides how sessions travel, and methods that it does not have. */
  readonly hub: { readonly version: string; readonly lacks: readonly string[] };
  /** The first user is the administrator whom builds of the start belong to. */
  readonly users: readonly {
    readonly name: string;
    readonly password: string | null;
    readonly perms: readonly string[];
  }[];
  readonly policy: {
    /** User to patterns of tags that they may tag into and untag from. Admins may always. */
    readonly tag: Readonly<Record<string, readonly string[]>>;
    /** Users who may build with `repo_id` (policy build_from_repo_id). Admins may always. */
    readonly repo_id: readonly string[];
  };
  /** How many mock builds run at one time. */
  readonly builders: number;
  /** How many of the builders, from the first, also make repos (channel `createrepo`); null: all. */
  readonly repo_builders: number | null;
  /** Tags whose newRepo tasks fail. */
  readonly broken_repos: readonly string[];
  /** What kernels and kmods are built for, and builders build; build tags name their own. */
  readonly arches: readonly string[];
  readonly timing: Timing;
  readonly tags: readonly ScenarioTag[];
  readonly targets: readonly {
    readonly name: string;
    readonly build_tag: string;
    readonly dest_tag: string;
  }[];
  readonly kernels: readonly Kernel[];
  readonly kmods: readonly Kmod[];
  readonly rules: readonly Rule[];
}

/** Read a scenario. Files that it names are looked up beside it. Throws an Error that names file and place. */
export function loadScenario(file: string): Scenario {
  const raw = FileSchema.safeParse(readToml(file));
  if (!raw.success) throw new Error(`${file}: ${describe(raw.error)}`);
  const { kernels, kmods, ...rest } = raw.data;
  const near = (name: string) => readText(resolve(dirname(file), name));
  const scenario: Scenario = {
    ...rest,
    kernels: kernels.map(({ nvr, symvers, variants, ...kernel }) => {
      const read = (file: string) => parseSymvers(near(file), file);
      const symbols = read(symvers);
      const exports = new Set(symbols.map((symbol) => symbol.name));
      const others = Object.entries(variants).map(([name, file]) => [name, read(file)] as const);
      return { ...kernel, ...splitNvr(nvr), symbols, exports, variants: Object.fromEntries(others) };
    }),
    kmods: kmods.map(({ nvr, modversions, variants, ...kmod }) => {
      const read = (file: string) => parseModversions(near(file), file);
      const others = Object.entries(variants).map(([name, file]) => [name, read(file)] as const);
      return { ...kmod, ...splitNvr(nvr), imports: read(modversions), variants: Object.fromEntries(others) };
    }),
  };
  assertNames(scenario, file);
  return scenario;
}

/** Split an NVR at its last two dashes. Throws an Error for anything else. */
export function splitNvr(nvr: string): Nvr {
  const match = NVR.exec(nvr);
  if (match === null) throw new Error(`${nvr}: not NAME-VERSION-RELEASE`);
  return { nvr, name: match[1] ?? '', version: match[2] ?? '', release: match[3] ?? '' };
}

const NVR = /^(.+)-([^-]+)-([^-]+)$/;

const Name = z.string().min(1);
const Names = z.array(Name).default([]);
/** A time in seconds, which becomes milliseconds. */
const seconds = (fallback: number) =>
  z
    .number()
    .nonnegative()
    .prefault(fallback)
    .transform((value) => Math.round(value * 1000));

const FileSchema = z.strictObject({
  hub: z.strictObject({ version: Name.default('1.35.3'), lacks: Names }).prefault({}),
  builders: z.int().nonnegative().default(4),
  repo_builders: z.int().nonnegative().nullable().default(null),
  broken_repos: Names,
  arches: z.array(Name).min(1).default(['x86_64']),
  timing: z
    .strictObject({
      assign: seconds(1),
      open: seconds(1),
      tag: seconds(1),
      srpm: seconds(10),
      build_arch: seconds(60),
      new_repo: seconds(30),
      repo_queue: seconds(5),
      wait_repo: seconds(10).refine((ms) => ms > 0, 'must be more than 0'),
      repo_lag: seconds(3600),
    })
    .prefault({}),
  users: z
    .array(z.strictObject({ name: Name, password: Name.nullable().default(null), perms: Names }))
    .min(1),
  policy: z.strictObject({ tag: z.record(Name, z.array(Name)).default({}), repo_id: Names }).prefault({}),
  tags: z.array(
    z.strictObject({
      name: Name,
      inherits: Names,
      packages: Names,
      blocked: Names,
      locked: z.boolean().default(false),
      perm: Name.nullable().default(null),
      arches: Names,
    }),
  ),
  targets: z.array(z.strictObject({ name: Name, build_tag: Name, dest_tag: Name })).default([]),
  kernels: z.array(
    z.strictObject({
      nvr: z.string().regex(NVR),
      symvers: Name,
      variants: z.record(Name, Name).default({}),
      single: z.boolean().default(false),
      tags: Names,
      built: z.boolean().default(true),
    }),
  ),
  kmods: z.array(
    z.strictObject({
      nvr: z.string().regex(NVR),
      modversions: Name,
      exports: z.record(Name, Name).default({}),
      needs: z.record(Name, Name).default({}),
      variants: z.record(Name, Name).default({}),
      tags: Names,
      kernel: Name.default('kernel'),
      pins: z.string().regex(NVR).nullable().default(null),
      build_time: seconds(0).nullable().default(null),
      arches: z.array(Name).min(1).nullable().default(null),
      userspace: Names,
    }),
  ),
  rules: z
    .array(
      z.strictObject({
        kmod: Name,
        kernel: Name.default('*'),
        arch: Name.default('*'),
        result: z.enum(RESULTS),
        log: z.array(z.string()).default([]),
        times: z.int().positive().nullable().default(null),
      }),
    )
    .default([]),
});

function readToml(file: string): unknown {
  const text = readText(file);
  try {
    return parseToml(text);
  } catch (error) {
    if (error instanceof TomlError) throw new Error(`${file}:${error.line}: ${error.message.split('\n')[0]}`);
    throw error;
  }
}

function readText(file: string): string {
  const bytes = readFileSync(file);
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
}

/** `Module.symvers`: CRC, symbol, module, export type, namespace, with tabs between. */
function parseSymvers(text: string, file: string): KernelSymbol[] {
  return rows(text, file, 3).map(([crc = '', name = '', module]) => ({
    name,
    crc,
    vmlinux: module === 'vmlinux',
  }));
}

/** What `modprobe --dump-modversions` prints: CRC, tab, symbol. */
function parseModversions(text: string, file: string): Kmod['imports'] {
  return rows(text, file, 2).map(([crc = '', name = '']) => ({ name, crc }));
}

function rows(text: string, file: string, columns: number): string[][] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line, i) => {
    const cells = line.split('\t');
    if (cells.length < columns || !/^0x[0-9a-f]{8}$/.test(cells[0] ?? '')) {
      throw new Error(`${file}:${i + 1}: expected 0x%08x and a symbol, with a tab between`);
    }
    return cells;
  });
}

/** Whatever a scenario names must be there: a typing error would otherwise show as odd behaviour. */
function assertNames(scenario: Scenario, file: string): void {
  const tags = new Set(scenario.tags.map((tag) => tag.name));
  const users = new Set(scenario.users.map((user) => user.name));
  const assertKnown = (known: ReadonlySet<string>, what: string, names: readonly string[], where: string) => {
    for (const name of names)
      if (!known.has(name)) throw new Error(`${file}: ${where}: no such ${what}: ${name}`);
  };
  for (const tag of scenario.tags) assertKnown(tags, 'tag', tag.inherits, `tag ${tag.name}`);
  for (const target of scenario.targets) {
    assertKnown(tags, 'tag', [target.build_tag, target.dest_tag], `target ${target.name}`);
  }
  for (const build of [...scenario.kernels, ...scenario.kmods])
    assertKnown(tags, 'tag', build.tags, build.nvr);
  assertKnown(users, 'user', [...Object.keys(scenario.policy.tag), ...scenario.policy.repo_id], 'policy');
}

function describe(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`).join('; ');
}
