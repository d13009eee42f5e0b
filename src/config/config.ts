/** The configuration file: one TOML file, read and checked as a whole before anything is started. */

import { existsSync } from 'node:fs';
import type { Gate, Policy, Rebuilding, Stablelist, TagChange } from '../core/model.ts';
import { plural } from '../core/wording.ts';
import { readText } from '../files/read.ts';
import { loadZstd } from '../symbols/zstd.ts';
import { type BusSettings, busSettings, checkBus, describeBus, findFedoraMessaging } from './bus.ts';
import { ConfigError } from './error.ts';
import { checkGreenwave, describeGreenwave, type GreenwaveSettings, greenwaveSettings } from './greenwave.ts';
import { expandHome } from './home.ts';
import { describeHttp, type HttpSettings, httpSettings } from './http.ts';
import { explainIssue, type Finding, locateMistakes, maskUrl, parseToml, valueAt } from './mistakes.ts';
import { checkNotices } from './noticerules.ts';
import { defaultFiles, kojiPlaces, type Profile, ProfileError, readProfile } from './profile.ts';
import { checkGates, checkHub, checkLogin, checkMessages, checkPlaintext, checkReading } from './rules.ts';
import { AUTHTYPES, ConfigFile, formatDuration, LONGEST_WAIVER } from './schema.ts';
import { readSeveritiesNow, readStablelists, StablelistError } from './stablelist.ts';
import { checkStore, describeStore, type StoreSettings, storeSettings } from './store.ts';
import { describeTelling, type Telling, telling } from './tell.ts';
import { checkWaiverDb, describeWaiverDb, type WaiverDbSettings, waiverDbSettings } from './waiverdb.ts';

export type { BusSettings } from './bus.ts';
export { ConfigError, formatMistakes, type Mistake } from './error.ts';
export type { StoreSettings } from './store.ts';

/** Everything that the file says, defaults filled in. All durations are milliseconds. */
export interface Config extends Telling {
  readonly koji: KojiSettings;
  /** Without it the gate hears no messages and finds its work by sweeping. */
  readonly bus?: BusSettings;
  readonly store: StoreSettings;
  readonly http?: HttpSettings;
  readonly sweep: SweepSettings;
  /** How long a stop takes at the most, in ms. */
  readonly stopWithin?: number;
  readonly waiverdb?: WaiverDbSettings;
  /** There where a gate waits for it. */
  readonly greenwave?: GreenwaveSettings;
  readonly gates: readonly Gate[];
  /** By gate, for how long a waiver may hold at the most, in ms; null: without end. Absent: LONGEST_WAIVER. */
  readonly longestWaivers?: Readonly<Record<string, number | null>>;
}

/** The hub and the login; a profile is resolved already. */
export interface KojiSettings {
  /** The hub's XML-RPC URL. */
  readonly server: string;
  /** Koji's web pages, for links; without a slash at the end. */
  readonly weburl?: string;
  /** Where the hub's files are, for what only the rpms themselves hold. */
  readonly topurl?: string;
  readonly authtype: (typeof AUTHTYPES)[number];
  /** With `authtype` password, `user` and `password` are always there; with ssl, `cert`. */
  readonly user?: string;
  readonly password?: string;
  /** The password may go to another host over http://. */
  readonly plaintext?: boolean;
  /** Files in PEM: the client certificate, its key unless `cert` has it, and who signed the hub's. */
  readonly cert?: string;
  readonly key?: string;
  readonly serverca?: string;
  /** Take the hub's certificate as it is, whoever signed it. */
  readonly no_ssl_verify?: boolean;
  /** For kerberos: a keytab (without it the environment's tickets count), and the principal to log in as. */
  readonly keytab?: string;
  readonly principal?: string;
  /** Of one call. */
  readonly timeout: number;
}

/** How often the hub is looked at without being told to. */
export interface SweepSettings {
  /** Between looks at every watched tag. */
  readonly every: number;
  /** Between looks at running tasks. */
  readonly poll: number;
  /** From a write whose answer was lost until it may be sent again. */
  readonly settle: number;
}

/**
 * Have all ready that reading the configuration in `file` at once may want: libzstd for a stablelist, as the rpms of EL 9
 * are packed by zstd. What is wrong with the file is left to `loadConfig`.
 */
export async function prepareConfig(file: string): Promise<void> {
  if (/^[^#\n]*stablelist/m.test(textIn(file))) await loadZstd();
}

/**
 * Read and check the configuration in `file`, after `prepareConfig`.
 * `env` gives KOJI_PROFILE, which replaces the name in `koji.profile`, and HOME. Throws ConfigError.
 */
export function loadConfig(file: string, env: NodeJS.ProcessEnv = process.env): Config {
  return parseConfig(readConfigFile(file), file, env);
}

function textIn(file: string): string {
  try {
    return readText(file);
  } catch {
    return '';
  }
}

function readConfigFile(file: string): string {
  try {
    return readText(file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `cannot be read: ${reason}; config/kmod-gate.toml is an example to start from`;
    throw new ConfigError(file, [{ path: '', message }], { cause });
  }
}

/**
 * Check the configuration `text`; `file` is its name in messages.
 * `places` are the files and directories that Koji profiles come from. Throws ConfigError with all mistakes.
 */
export function parseConfig(
  text: string,
  file: string,
  env: NodeJS.ProcessEnv = process.env,
  places: readonly string[] = kojiPlaces(env),
): Config {
  const document = parseToml(text, file);
  const parsed = ConfigFile.safeParse(document);
  const { profile, findings: ofProfile } = findProfile(document, env, places);
  const { stablelists, findings: ofStablelists } = findStablelists(document, env);
  const { fedora, findings: ofFedora } = findFedoraMessaging(document, env);
  const findings = [
    ...(parsed.error?.issues ?? []).flatMap((issue) => explainIssue(issue, document)),
    ...checkHub(document),
    ...checkReading(document),
    ...checkStore(document),
    ...checkWaiverDb(document),
    ...checkGreenwave(document),
    ...ofProfile,
    ...ofFedora,
    ...checkBus(document, fedora),
    ...checkGates(document),
    ...checkMessages(document),
    ...checkNotices(document, env),
    ...ofStablelists,
  ];
  if (!parsed.success || findings.length > 0) throw new ConfigError(file, locateMistakes(findings, text));
  const { gate: gates, bus, store, http, sweep, run, waiverdb, greenwave } = parsed.data;
  const settings = bus && busSettings(bus, fedora, env);
  const koji = kojiSettings(parsed.data.koji, profile, env);
  return {
    koji,
    ...(settings && { bus: settings }),
    store: storeSettings(store, env),
    ...(http && { http: httpSettings(http, env) }),
    ...(waiverdb && { waiverdb: waiverDbSettings(waiverdb, env) }),
    ...(greenwave && { greenwave: greenwaveSettings(greenwave, env) }),
    // A call that still waits for its answer is not lost.
    sweep: { ...sweep, settle: Math.max(sweep.settle, koji.timeout) },
    stopWithin: run.stop_within,
    longestWaivers: Object.fromEntries(gates.map(({ name, policy }) => [name, policy.longest_waiver])),
    ...telling(parsed.data, settings, env),
    gates: gates.map(
      ({ on_stablelist: effect, severities: _, on_pass: { rebuild, ...on_pass }, policy, ...gate }, i) => ({
        ...gate,
        policy: judgingPolicy(policy),
        on_pass,
        rebuild: rebuild ? rebuilding(rebuild) : null,
        build: gate.build ?? null,
        arches: gate.arches ?? null,
        baseline: gate.baseline ?? null,
        stablelist: stablelists[i] ? { effect, ...stablelists[i] } : null,
      }),
    ),
  };
}

/** The profile that `koji.profile` names, an empty one if it names none, and what is wrong with it and the login. */
function findProfile(
  document: unknown,
  env: NodeJS.ProcessEnv,
  places: readonly string[],
): { profile: Partial<Profile>; findings: Finding[] } {
  const path = ['koji', 'profile'];
  const named = valueAt(document, path);
  const instead = env['KOJI_PROFILE'];
  try {
    const profile: Partial<Profile> =
      typeof named === 'string' ? { ...defaultFiles(env), ...readProfile(instead || named, places) } : {};
    return { profile, findings: [...checkLogin(document, profile), ...checkPlaintext(document, profile)] };
  } catch (error) {
    if (!(error instanceof ProfileError)) throw error;
    const message = instead ? `${error.message}; KOJI_PROFILE names this profile` : error.message;
    return { profile: {}, findings: [{ path, message }, ...checkPlaintext(document, {})] };
  }
}

/** What each gate's stablelist and severities promise, and what is wrong with those that cannot be read. */
function findStablelists(
  document: unknown,
  env: NodeJS.ProcessEnv,
): { stablelists: (Omit<Stablelist, 'effect'> | undefined)[]; findings: Finding[] } {
  const gates = valueAt(document, ['gate']);
  const findings: Finding[] = [];
  const orFinding = <T>(gate: number, key: string, read: (file: string) => T): T | undefined => {
    const path = ['gate', gate, key];
    const file = valueAt(document, path);
    try {
      return typeof file === 'string' && file !== '' ? read(file) : undefined;
    } catch (error) {
      if (!(error instanceof StablelistError)) throw error;
      findings.push({ path, message: error.message });
      return undefined;
    }
  };
  const stablelists = (Array.isArray(gates) ? gates : []).map((_, i) => {
    const severities = orFinding(i, 'severities', (file) => readSeveritiesNow(file, env));
    return orFinding(i, 'stablelist', (file) => readStablelists(file, env, severities));
  });
  return { stablelists, findings };
}

/** `[koji]` over its profile over the defaults. */
function kojiSettings(
  koji: ConfigFile['koji'],
  profile: Partial<Profile>,
  env: NodeJS.ProcessEnv,
): KojiSettings {
  const both = { ...profile, ...koji };
  const { server, weburl, topurl, user, password, principal, no_ssl_verify, timeout = 60_000 } = both;
  if (server === undefined) throw new TypeError('koji.server: neither in the file nor in the profile');
  const files = (['cert', 'key', 'serverca', 'keytab'] as const).flatMap((name) => {
    const file = name === 'key' ? koji.key : both[name];
    return file === undefined ? [] : [[name, expandHome(file, env)] as const];
  });
  const named: Pick<KojiSettings, 'cert' | 'key' | 'serverca' | 'keytab'> = Object.fromEntries(files);
  return {
    server,
    ...(weburl !== undefined && { weburl: weburl.replace(/\/+$/, '') }),
    ...(topurl !== undefined && { topurl }),
    authtype: authtypeOf(both.authtype, koji.profile !== undefined, user, named),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(principal !== undefined && { principal }),
    ...(no_ssl_verify && { no_ssl_verify }),
    ...(koji.plaintext && { plaintext: true }),
    ...named,
    timeout,
  };
}

/**
 * As Koji's client chooses where nothing is said: a certificate that is there, a user, else Kerberos. Whoever names
 * neither a profile nor a login only wants to read.
 */
function authtypeOf(
  said: string | undefined,
  ofProfile: boolean,
  user: string | undefined,
  { cert, keytab }: Pick<KojiSettings, 'cert' | 'keytab'>,
): KojiSettings['authtype'] {
  const known = AUTHTYPES.find((authtype) => authtype === said);
  if (known) return known;
  if (cert !== undefined && existsSync(cert)) return 'ssl';
  if (user !== undefined) return 'password';
  return ofProfile || keytab !== undefined ? 'kerberos' : 'noauth';
}

/** What was understood, for people: lines of text, passwords as `***`. */
export function describeConfig(config: Config): string {
  const { koji, bus, store, http, sweep, stopWithin, gates, longestWaivers = {} } = config;
  const login = {
    ssl: `by the certificate ${koji.cert}`,
    kerberos: `by Kerberos${koji.principal ? ` as ${koji.principal}` : ''}, ${koji.keytab ? `keytab ${koji.keytab}` : 'with the tickets of the environment'}`,
    password: `as ${koji.user}, password ***`,
    noauth: 'without a login, only reading',
  }[koji.authtype];
  const rows: [string, string][] = [
    ['koji', `${maskUrl(koji.server)}, ${login}, ${formatDuration(koji.timeout)} a call`],
    ...(koji.no_ssl_verify
      ? [['', 'no_ssl_verify: anybody on the way can read and change it all'] as [string, string]]
      : []),
    ...(koji.plaintext ? [['', PLAINTEXT] as [string, string]] : []),
    ['weburl', koji.weburl === undefined ? 'none: no links to tasks and builds' : maskUrl(koji.weburl)],
    ...(koji.topurl === undefined ? [] : [['topurl', maskUrl(koji.topurl)] as [string, string]]),
    ['bus', bus === undefined ? 'none: the gate only sweeps' : describeBus(bus)],
    ...(bus?.plaintext ? [['', PLAINTEXT] as [string, string]] : []),
    ['store', describeStore(store)],
    ...(store.plaintext ? [['', PLAINTEXT] as [string, string]] : []),
    ['http', http === undefined ? 'none: no dashboard, no API' : describeHttp(http)],
    [
      'sweep',
      `watched tags every ${formatDuration(sweep.every)}, running tasks every ${formatDuration(sweep.poll)}, ` +
        `${formatDuration(sweep.settle)} to settle`,
    ],
    ...(stopWithin === undefined
      ? []
      : [['run', `stops within ${formatDuration(stopWithin)}`] as [string, string]]),
    ['waiverdb', describeWaiverDb(config.waiverdb)],
    ...(config.greenwave ? [['greenwave', describeGreenwave(config.greenwave)] as [string, string]] : []),
    ...describeTelling(config, maskUrl),
    ...gates.flatMap((gate) => [...describeGate(gate), describeWaivers(longestWaivers[gate.name])]),
    ...gates.flatMap((gate, i) => sharedTags(gate, gates.slice(0, i))),
  ];
  return rows.map(([key, value]) => `${key.padEnd(11)}${value}`.trimEnd()).join('\n');
}

const PLAINTEXT = 'plaintext: without TLS anybody on the way can read the password';

function describeGate({
  name,
  kernels,
  watch,
  mode,
  strategy,
  variant,
  stablelist,
  kmods,
  build,
  arches,
  baseline,
  policy,
  rebuild,
  ...ends
}: Gate): [string, string][] {
  const patterns = (['include', 'exclude', 'advisory'] as const)
    .filter((key) => kmods[key].length > 0)
    .map((key) => `${key} ${kmods[key].join(' ')}`);
  return [
    [`gate ${name}`, ''],
    ['  kernels', `${kernels.join(' ')} in tag ${watch}`],
    ['  mode', `${mode}, strategy ${strategy}${variant && `, symbols of the ${variant} kernel`}`],
    ...(stablelist ? [['  kABI', describeStablelist(stablelist)] as [string, string]] : []),
    ['  kmods', `in tag ${kmods.tag}, ${patterns.join(', ')}`],
    [
      '  build',
      build
        ? `target ${build.target}, repo ${build.repo}, priority ${build.priority}, at most ${build.max_active} at a time`
        : 'none',
    ],
    ...(arches ? [['  arches', arches.join(' ')] as [string, string]] : []),
    ...(baseline === null ? [] : [['  baseline', baseline] as [string, string]]),
    ['  policy', describePolicy(policy)],
    ['  on_pass', describeTagChange(ends.on_pass)],
    ...(rebuild ? [['  rebuild', describeRebuilding(rebuild)] as [string, string]] : []),
    ['  on_fail', describeTagChange(ends.on_fail)],
  ];
}

/** Gates that let kernels into one tag each could let in what the other one blocks; they wait for a person instead. */
function sharedTags(gate: Gate, others: readonly Gate[]): [string, string][] {
  return others.flatMap((other): [string, string][] => {
    const tags = gate.on_pass.tag.filter((tag) => other.on_pass.tag.includes(tag));
    const same = other.kernels.some((name) => gate.kernels.includes(name));
    if (tags.length === 0 || !same) return [];
    const text = `gates ${other.name} and ${gate.name} both let kernels into ${tags.join(', ')}: what one of them blocks, the other one holds until a person acts`;
    return [['note', text]];
  });
}

function describePolicy({ longest_build, longest_run, longest_hold, after_hold, ...policy }: Policy): string {
  const upTo = (ms: number | null) => (ms === null ? 'any time' : formatDuration(ms));
  const { retries, quiet, advisory_limit: most } = policy;
  const parts = [
    `inconclusive ${policy.inconclusive}, unattributed ${policy.unattributed}, proof ${policy.proof}`,
    `builds against the baseline count for ${upTo(policy.evidence_age)}`,
    ...(most === null ? [] : [`more than ${plural(most, 'advisory kmod')} block`]),
    `supersede ${policy.supersede}`,
    `retries ${retries.kmod} a kmod, ${retries.run} a run, ${retries.day} a day`,
    `builds ${upTo(longest_build)}, runs ${upTo(longest_run)}, holds ${upTo(longest_hold)}, then ${after_hold}`,
    ...(quiet.length > 0 ? [`${plural(quiet.length, 'quiet time')} a week`] : []),
    ...(policy.wait_for === null ? [] : ['waits for Greenwave before it promotes']),
  ];
  return parts.join('; ');
}

function describeStablelist({ effect, symbols, exports = {} }: Stablelist): string {
  const of = (arch: string) => (arch === '*' ? '' : ` of ${arch}`);
  const lists = [
    ...Object.entries(symbols).map(([arch, list]) => `${plural(list.length, 'symbol')}${of(arch)}`),
    ...Object.entries(exports).map(([arch, list]) => `${plural(list.size, 'CRC')}${of(arch)}`),
  ];
  return `stablelist, ${lists.join(', ')}: a change ${effect === 'block' ? 'blocks' : 'is only told'}`;
}

function describeTagChange({ tag, untag }: TagChange): string {
  const parts = [...tag.map((name) => `tag ${name}`), ...untag.map((name) => `untag ${name}`)];
  return parts.join(', ') || 'nothing';
}

/** What verdicts are made by: how long waivers may be is asked where they are given. */
const judgingPolicy = ({ longest_waiver: _, ...policy }: ConfigFile['gate'][number]['policy']): Policy =>
  policy;

const rebuilding = ({
  branch,
  ...rest
}: NonNullable<ConfigFile['gate'][number]['on_pass']['rebuild']>): Rebuilding => ({
  ...rest,
  ...(branch !== undefined && { branch }),
});

function describeRebuilding({ target, draft, branch }: Rebuilding): string {
  const from = branch === undefined ? '' : `, from the head of ${branch}`;
  return `what needs it, in ${target}${draft ? ', as drafts' : ''}${from}`;
}

const describeWaivers = (longest: number | null = LONGEST_WAIVER): [string, string] => [
  '  waivers',
  longest === null ? 'may have no end' : `end after ${formatDuration(longest)} at the most`,
];
