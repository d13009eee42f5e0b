/** What a simulated Koji holds at the start and how it behaves, read from a TOML file. */

import { dirname, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ConfigError } from '../config/error.ts';
import { explainIssue, type Finding, locateMistakes, parseToml } from '../config/mistakes.ts';
import { LIST_MAX, readBytes, readText } from '../files/read.ts';
import { checkNames } from './checks.ts';
import { type PlayEntry, planPlay } from './play.ts';
import { NVR, type RESULTS, ScenarioToml } from './schema.ts';

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
  /** The rpm with its module, where that is neither -core nor -modules: `kernel-rt-kvm`, `kernel-uek-modules-wireless`. */
  readonly rpm?: string;
}

/** A kernel build. With `built` false it appears when `world.completeKernel` says so, which a play does for it. */
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
  /** Names of more rpms that the build makes: `kernel-headers`, `kernel-tools-libs-devel`. */
  readonly others?: readonly string[];
  /** Of its source rpm, the newest entry first, times in seconds; absent: none. */
  readonly changelog?: readonly { readonly at: number; readonly author: string; readonly text: string }[];
  /** Its types (BTF), packed or not, as the file server has them in place of the whole kernel; absent: it has no file. */
  readonly types?: Uint8Array;
  /** SUSE's: what it exports is provided as `ksym(FLAVOUR:SYM)`. */
  readonly flavour?: string | null;
  /** Rpms, as NAME or NAME.ARCH, of which the hub has no file any more. */
  readonly unreadable?: readonly string[];
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
  /**
   * NVRs of kernels that it is built for, with an rpm for each, as kmodtool makes them, and with the CRCs that these
   * have; absent or empty: it is one rpm that asks for no kernel.
   */
  readonly built_for?: readonly string[];
  /** The modules for all of those are in one rpm. */
  readonly one_rpm?: boolean;
  /** SUSE's: its rpm is `NAME-kmp-FLAVOUR`, and requires `ksym(FLAVOUR:SYM)`. */
  readonly flavour?: string | null;
  /** Rpms, as NAME or NAME.ARCH, of which the hub has no file any more. */
  readonly unreadable?: readonly string[];
  /** The package whose `-devel` it builds against. */
  readonly kernel: string;
  /** NVR of the one kernel that its spec file asks for, whatever else is there. */
  readonly pins: string | null;
  /** What it asks for beside that: rpms of the newest kernel in the repo that its build root holds, too. */
  readonly also?: readonly string[];
  /** The package of the kernel's build that it pins; absent: `-devel`. */
  readonly pinned?: string;
  /** Milliseconds of one buildArch; null: as `timing.build_arch` says. */
  readonly build_time: number | null;
  /** What its spec file is for (ExclusiveArch); absent: all that the scenario has. */
  readonly arches?: readonly string[] | null;
  /** Architectures of one more rpm of the same build, `NAME-tools`, that has no module in it. */
  readonly userspace?: readonly string[];
  /** The SCM URL that its build was made from, without the commit; absent: a source rpm. */
  readonly scm?: string | null;
  /** Its release at the head of every branch there; absent: nothing has changed since. */
  readonly head?: string | null;
}

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
  /** mock's exit status of `fails`; absent: 1. */
  readonly status?: number;
  /** Only the first so many tries of each kmod; null: all. */
  readonly times: number | null;
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
  /** What `%dist` is in its build roots (`rpm.macro.dist`); absent: as its ancestors or the build root say. */
  readonly dist?: string | null;
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
    readonly owns?: readonly string[];
  }[];
  /** Where a policy names nobody, admins may, as Koji's own rules have it. */
  readonly policy: {
    /** Each policy begins with `has_perm admin :: allow`, as Koji's own do; absent: one that names users binds admins too. */
    readonly admins?: boolean;
    /** User to patterns of tags that they may tag into and untag from. */
    readonly tag: Readonly<Record<string, readonly string[]>>;
    /** Users who may build with `repo_id` (policy build_from_repo_id). */
    readonly repo_id: readonly string[];
    /** Users who may make real builds of source rpms (policy build_from_srpm). */
    readonly srpm?: readonly string[];
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

/** A scenario as its file has it, and what is to happen in it. */
export interface ScenarioFile {
  readonly scenario: Scenario;
  readonly play: readonly PlayEntry[];
  /** Throws ConfigError, with the lines that they have in the file, where there are findings. */
  refuse(findings: readonly Finding[]): void;
}

/** Read a scenario and its play. Files that it names are looked up beside it. Throws ConfigError with every mistake. */
export function readScenario(file: string): ScenarioFile {
  const text = readOwn(file);
  const document = parseToml(text, file);
  const refuse = (findings: readonly Finding[]) => {
    if (findings.length > 0) throw new ConfigError(file, locateMistakes(findings, text));
  };
  const parsed = ScenarioToml.safeParse(document);
  if (!parsed.success) {
    refuse(parsed.error.issues.flatMap((issue) => explainIssue(issue, document, ScenarioToml)));
    throw parsed.error;
  }
  const { kernels, kmods, play: entries, ...rest } = parsed.data;
  const findings: Finding[] = [];
  const beside = reader(dirname(file), findings);
  const completed = new Set(entries.flatMap(({ complete }) => complete ?? []));
  const scenario: Scenario = {
    ...rest,
    kernels: kernels.map(({ nvr, symvers, symbols, variants, rpms, others, built, types, ...kernel }, i) => {
      const path = ['kernels', i];
      const apart = Object.entries(beside.all([...path, 'rpms'], rpms, parseSymvers, inlineSymbols));
      const own = [
        ...beside.one(path, nvr, { symbols, symvers }, parseSymvers, inlineSymbols),
        ...apart.flatMap(([rpm, those]) => those.map((it) => ({ ...it, vmlinux: false, rpm }))),
      ];
      return {
        ...kernel,
        ...splitNvr(nvr),
        symbols: own,
        exports: new Set(own.map((symbol) => symbol.name)),
        variants: beside.all([...path, 'variants'], variants, parseSymvers, inlineSymbols),
        others: [...others, ...Object.keys(rpms)],
        ...(types !== undefined && { types: beside.bytes([...path, 'types'], types) }),
        built: built ?? !completed.has(nvr),
      };
    }),
    kmods: kmods.map(({ nvr, modversions, imports, variants, ...kmod }, i) => {
      const path = ['kmods', i];
      const own = beside.one(path, nvr, { imports, modversions }, parseModversions, inlineImports);
      const others = beside.all([...path, 'variants'], variants, parseModversions, inlineImports);
      return { ...kmod, ...splitNvr(nvr), imports: own, variants: others };
    }),
  };
  const { plan, findings: ofPlay } = planPlay(entries, scenario);
  refuse([...findings, ...checkNames(scenario), ...ofPlay]);
  return { scenario, play: plan, refuse };
}

/** The same without its play. */
export const loadScenario = (file: string): Scenario => readScenario(file).scenario;

/** Split an NVR at its last two dashes. Throws an Error for anything else. */
export function splitNvr(nvr: string): Nvr {
  const match = NVR.exec(nvr);
  if (match === null) throw new Error(`${nvr}: not NAME-VERSION-RELEASE`);
  return { nvr, name: match[1] ?? '', version: match[2] ?? '', release: match[3] ?? '' };
}

// ------------------------------------------------------------------------------------------------- files

function readOwn(file: string): string {
  try {
    return readText(file);
  } catch (cause) {
    const message = `cannot be read: ${wordsOf(cause)}; config/rehearse/koji.toml is an example to start from`;
    throw new ConfigError(file, [{ path: '', message }], { cause });
  }
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

type Crcs = Readonly<Record<string, string>>;

/** Reads symbols: from a table in the scenario, or from a file in `folder`. What cannot be read becomes a finding. */
function reader(folder: string, findings: Finding[]) {
  const orFinding = <T>(path: Finding['path'], mend: string, work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      const message =
        error instanceof RowError ? error.message : `cannot be read: ${wordsOf(error)}; ${mend}`;
      findings.push({ path, message });
      return undefined;
    }
  };
  const bytesOf = (name: string) => readBytes(resolve(folder, name), LIST_MAX);
  const read = <T>(path: Finding['path'], name: string, parse: (text: string, file: string) => T[]): T[] =>
    orFinding(path, 'name a file beside the scenario, or give the symbols in a table', () => {
      const bytes = bytesOf(name);
      return parse(
        (name.endsWith('.gz') ? gunzipSync(bytes, { maxOutputLength: LIST_MAX }) : bytes).toString('utf8'),
        name,
      );
    }) ?? [];
  return {
    /** A file as it is. */
    bytes: (path: Finding['path'], name: string): Uint8Array =>
      orFinding(path, 'name a file beside the scenario', () => bytesOf(name)) ?? new Uint8Array(0),
    /** From the one of two keys that is there: the first is a table, the second names a file. */
    one<T>(
      path: Finding['path'],
      nvr: string,
      keys: Readonly<Record<string, Crcs | string | undefined>>,
      parse: (text: string, file: string) => T[],
      inline: (crcs: Crcs) => T[],
    ): T[] {
      const given = Object.entries(keys).flatMap(([key, of]) => (of === undefined ? [] : [{ key, of }]));
      const [one] = given;
      if (one && given.length === 1)
        return typeof one.of === 'string' ? read([...path, one.key], one.of, parse) : inline(one.of);
      const [table, file] = Object.keys(keys);
      const ways = `${table} = {…}, a table of symbols with their CRCs, or ${file} = "FILE", a file beside the scenario`;
      findings.push({ path, message: `${nvr} has ${one ? 'both' : 'neither'} of two keys: give ${ways}` });
      return [];
    },
    /** Of each variant. */
    all<T>(
      path: Finding['path'],
      variants: Readonly<Record<string, Crcs | string>>,
      parse: (text: string, file: string) => T[],
      inline: (crcs: Crcs) => T[],
    ): Readonly<Record<string, T[]>> {
      const each = Object.entries(variants).map(([name, of]) => [
        name,
        typeof of === 'string' ? read([...path, name], of, parse) : inline(of),
      ]);
      return Object.fromEntries(each);
    },
  };
}

/** `Module.symvers`: CRC, symbol, module, export type, namespace, with tabs between. */
function parseSymvers(text: string, file: string): KernelSymbol[] {
  return rows(text, file, 3).map(([crc = '', name = '', module]) => ({
    name,
    crc,
    vmlinux: module === 'vmlinux',
  }));
}

const inlineSymbols = (crcs: Crcs): KernelSymbol[] =>
  Object.entries(crcs).map(([name, crc]) => ({ name, crc, vmlinux: true }));

/** What `modprobe --dump-modversions` prints: CRC, tab, symbol. */
function parseModversions(text: string, file: string): Kmod['imports'][number][] {
  return rows(text, file, 2).map(([crc = '', name = '']) => ({ name, crc }));
}

const inlineImports = (crcs: Crcs): Kmod['imports'][number][] =>
  Object.entries(crcs).map(([name, crc]) => ({ name, crc }));

class RowError extends Error {}

function rows(text: string, file: string, columns: number): string[][] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line, i) => {
    const cells = line.split('\t');
    if (cells.length < columns || !/^0x[0-9a-f]{8}$/.test(cells[0] ?? '')) {
      throw new RowError(`${file}:${i + 1}: expected 0x%08x and a symbol, with a tab between`);
    }
    return cells;
  });
}
