/** Profiles of Koji's own client configuration, read as Koji's client reads them. */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import ini from 'ini';
import { z } from 'zod';
import { readText as textOf } from '../files/read.ts';
import { homeOf } from './home.ts';
import { httpUrl } from './schema.ts';

const optionalText = z.string().optional();

/** What the gate takes of a profile; the client's many other options are not its business. */
const Profile = z.object({
  server: httpUrl,
  weburl: httpUrl.optional(),
  topurl: httpUrl.optional(),
  authtype: optionalText,
  user: optionalText,
  password: optionalText,
  cert: optionalText,
  serverca: optionalText,
  /** In the words that Python's configparser takes. */
  no_ssl_verify: z
    .string()
    .regex(/^(1|yes|true|on|0|no|false|off)$/i, { error: 'true or false' })
    .transform((word) => /^(1|yes|true|on)$/i.test(word))
    .optional(),
  keytab: optionalText,
  principal: optionalText,
  /** Seconds in the file, milliseconds here. */
  timeout: z
    .string()
    .regex(/^[1-9]\d{0,5}$/, { error: 'a whole number of seconds, up to 999999' })
    .transform((seconds) => Number(seconds) * 1000)
    .optional(),
});

/** A profile: where the hub is and who logs in. `authtype` may be one that the gate does not know. */
export type Profile = z.infer<typeof Profile>;

/** A profile that is not there or not usable; the message says which, and where it was looked for. */
export class ProfileError extends Error {
  override readonly name = 'ProfileError';
}

type Sections = Record<string, Record<string, string>>;

const kojiHome = (env: NodeJS.ProcessEnv): string => join(homeOf(env), '.koji');

/**
 * The files and directories that Koji's client reads, in its order (koji.read_config); a later one wins.
 * `HOME` in `env` says where `~` is.
 */
export function kojiPlaces(env: NodeJS.ProcessEnv): string[] {
  const user = kojiHome(env);
  return ['/etc/koji.conf.d', '/etc/koji.conf', join(user, 'config.d'), join(user, 'config')];
}

/** Files that Koji's client takes where a profile names none and they are there (koji.read_config). */
const DEFAULT_FILES = { cert: 'client.crt', serverca: 'serverca.crt' } as const;

/** Of those files the ones that are there; `HOME` in `env` says where `~` is. */
export function defaultFiles(env: NodeJS.ProcessEnv): Pick<Profile, 'cert' | 'serverca'> {
  const found = Object.entries(DEFAULT_FILES)
    .map(([key, name]) => [key, join(kojiHome(env), name)] as const)
    .filter(([, file]) => existsSync(file));
  return Object.fromEntries(found);
}

/**
 * Read the profile `name` from `places`: files, and directories whose `*.conf` files count.
 * A key in a later file replaces the same key of an earlier one. Throws ProfileError.
 */
export function readProfile(name: string, places: readonly string[]): Profile {
  const files = places.flatMap(filesOf);
  const sections: Sections = {};
  for (const file of files) {
    for (const [section, options] of Object.entries(parseSections(readText(file)))) {
      sections[section] = { ...sections[section], ...options };
    }
  }
  // As in Python's configparser, DEFAULT is no profile but stands behind each of them.
  const { DEFAULT: defaults, ...profiles } = sections;
  const options = Object.hasOwn(profiles, name) ? profiles[name] : undefined;
  if (options === undefined) throw new ProfileError(notFound(name, Object.keys(profiles), files, places));
  const unusable = (problems: string) =>
    new ProfileError(`Koji profile "${name}" cannot be used: ${problems} (read ${files.join(', ')})`);
  const parsed = Profile.safeParse(valuesOf({ ...defaults, ...options }, unusable));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `its ${issue.path.join('.')} must be ${issue.message}`);
  throw unusable(problems.join('; '));
}

type Options = Readonly<Record<string, string>>;
type Unusable = (problem: string) => ProfileError;

/**
 * What the gate takes of a profile. An empty value is none; it is there all the same, as undefined, since Koji
 * takes no default file in its place.
 */
function valuesOf(options: Options, unusable: Unusable): Record<string, string | undefined> {
  const names = Object.keys(Profile.shape).filter((name) => Object.hasOwn(options, name));
  return Object.fromEntries(names.map((name) => [name, expand(options, name, unusable) || undefined]));
}

/** How deep options may refer to each other: configparser.MAX_INTERPOLATION_DEPTH. */
const DEEPEST = 10;

/** An option as Python's configparser gives it: `%%` is a %, `%(name)s` another option. */
function expand(options: Options, name: string, unusable: Unusable, depth = 1): string {
  const value = options[name] ?? '';
  return value.replace(/%(?:(%)|\(([^)]+)\)s)?/g, (_, percent?: string, reference?: string) => {
    const other = reference?.toLowerCase() ?? '';
    if (depth <= DEEPEST && percent !== undefined) return '%';
    if (depth <= DEEPEST && Object.hasOwn(options, other)) return expand(options, other, unusable, depth + 1);
    // The value may be a password.
    const advice = 'write %% for a %, or %(name)s for an option that is there';
    throw unusable(`its ${name} has a % that stands for nothing; ${advice}`);
  });
}

function notFound(name: string, profiles: string[], files: string[], places: readonly string[]): string {
  if (files.length === 0) return `no Koji profile "${name}": found no file in ${places.join(', ')}`;
  return `no Koji profile "${name}" in ${files.join(', ')}; profiles there: ${profiles.join(', ') || 'none'}`;
}

function filesOf(place: string): string[] {
  return orUnreadable(place, () => {
    const stat = statSync(place, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    if (!stat.isDirectory()) return [place];
    const names = readdirSync(place).filter((name) => name.endsWith('.conf'));
    return names.sort().map((name) => join(place, name));
  });
}

function readText(file: string): string {
  return orUnreadable(file, () => textOf(file));
}

function orUnreadable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new ProfileError(`cannot read Koji's ${path}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}

/** Sections of a file; each option a string, its name in lower case. */
function parseSections(text: string): Sections {
  const sections: Sections = {};
  for (const [name, options] of Object.entries(ini.parse(text.split(/\r?\n/).map(asIni).join('\n')))) {
    if (typeof options !== 'object' || options === null) continue;
    sections[name] = Object.fromEntries(Object.entries(options).map(([key, value]) => [key, String(value)]));
  }
  return sections;
}

/**
 * Koji's files are written for Python's configparser, to which quotes, backslashes, a `;` or `#` within a line
 * and a dot in a section's name are plain text; to `ini` they are not. Writes one line so that `ini` agrees.
 */
function asIni(line: string): string {
  const trimmed = line.trim();
  const [, section] = /^\[(.+)\]/.exec(trimmed) ?? [];
  if (section !== undefined) return `[${JSON.stringify(section.replaceAll('.', '\\.'))}]`;
  const [, key, value] = /^([^;#=:][^=:]*)[=:](.*)$/.exec(trimmed) ?? [];
  if (key === undefined || value === undefined) return '';
  return `${key.trim().toLowerCase()}=${JSON.stringify(value.trim())}`;
}
