/** Real rpms, built by rpmbuild from spec files like EL's. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { installed } from '../services.ts';

export const rpmbuild = (): boolean => installed('/usr/bin/rpmbuild', 'Debian package rpm');

/** rpm's name of each way to compress a payload. */
export const PAYLOADS = {
  gzip: 'w9.gzdio',
  xz: 'w2.xzdio',
  zstd: 'w3.zstdio',
  bzip2: 'w9.bzdio',
  lzma: 'w6.lzdio',
} as const;

export interface Spec {
  readonly name: string;
  readonly version?: string;
  readonly release?: string;
  readonly epoch?: number;
  readonly provides?: readonly string[];
  readonly requires?: readonly string[];
  /** Path to content. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Path of a link to where it leads. */
  readonly links?: Readonly<Record<string, string>>;
  readonly payload?: keyof typeof PAYLOADS;
  readonly noarch?: boolean;
  /** As a spec file has it, from the first star on. */
  readonly changelog?: string;
}

/** What one source rpm is built to. */
export interface BuildSpec {
  readonly name: string;
  readonly version?: string;
  readonly release?: string;
  readonly arch?: 'x86_64' | 'aarch64';
  /** Each by its name, the one of the build's own name too, if it makes one; of the build's version unless they tell. */
  readonly packages: readonly Omit<Spec, 'payload' | 'changelog'>[];
  readonly changelog?: string;
}

/** A built rpm. */
export interface Built {
  /** Its path, as long as it is used. */
  readonly file: string;
  readonly data: Buffer;
  /** What `rpm -q` prints of it, a line each. */
  query(...options: string[]): string[];
}

/** Build it, and give it to `use`; its folder is removed after. */
export async function withRpm<T>(spec: Spec, use: (rpm: Built) => T | Promise<T>): Promise<T> {
  const { version, release, payload, changelog } = spec;
  const build = {
    ...(changelog && { changelog }),
    name: spec.name,
    packages: [spec],
    ...(version && { version }),
    ...(release && { release }),
  };
  return withTop(async (top) => {
    const rpm = runRpmbuild(top, build, payload)[0] ?? '';
    const query = (...those: string[]) =>
      execFileSync('rpm', ['-qp', ...those, rpm], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
        .split('\n')
        .slice(0, -1);
    return await use({ data: readFileSync(rpm), file: rpm, query });
  });
}

/** Build many of different names at once, which takes hardly longer than one. */
export const buildRpms = (specs: readonly Spec[]): Promise<Buffer[]> =>
  withTop(async (top) => {
    const rpms = new Map(
      runRpmbuild(top, { name: 'source', packages: specs }).map((rpm) => [basename(rpm), rpm]),
    );
    return specs.map(({ name, version = VERSION, release = RELEASE }) =>
      readFileSync(rpms.get(`${name}-${version}-${release}.x86_64.rpm`) ?? name),
    );
  });

/** Build all rpms, and give `use` a folder with them and the source rpms, as `koji download-build` leaves them. */
export async function withBuilds<T>(
  builds: readonly BuildSpec[],
  use: (folder: string) => T | Promise<T>,
): Promise<T> {
  return withTop(async (top) => {
    const folder = join(top, 'all');
    mkdirSync(folder);
    for (const [i, build] of builds.entries()) {
      const rpms = runRpmbuild(join(top, String(i)), build);
      for (const rpm of rpms) renameSync(rpm, join(folder, basename(rpm)));
    }
    return await use(folder);
  });
}

async function withTop<T>(use: (top: string) => Promise<T>): Promise<T> {
  const top = mkdtempSync(join(tmpdir(), 'kmod-gate-rpm-'));
  try {
    return await use(top);
  } finally {
    rmSync(top, { recursive: true, force: true });
  }
}

/** @returns the paths of the rpms, the source rpm's last */
function runRpmbuild(top: string, build: BuildSpec, payload: keyof typeof PAYLOADS = 'gzip'): string[] {
  const file = join(top, 'it.spec');
  mkdirSync(join(top, 'content'), { recursive: true });
  writeFileSync(file, textOf(build, join(top, 'content')));
  const define = (name: string, value: string) => ['--define', `${name} ${value}`];
  const options = [
    ...['-ba', '--quiet', '--target', build.arch ?? 'x86_64', '--nodeps'],
    ...define('_topdir', top),
    ...define('_binary_payload', PAYLOADS[payload]),
    ...define('debug_package', '%{nil}'),
    ...define('_build_name_fmt', '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm'),
  ];
  execFileSync('rpmbuild', [...options, file], { stdio: 'pipe' });
  return ['RPMS', 'SRPMS'].flatMap((kind) =>
    readdirSync(join(top, kind))
      .sort()
      .map((name) => join(top, kind, name)),
  );
}

const VERSION = '5.14.0';
const RELEASE = '70.el9';

function textOf(build: BuildSpec, content: string): string {
  const { name: source, version = VERSION, release = RELEASE, packages } = build;
  const own = packages.find(({ name }) => name === source);
  const others = packages.filter((it) => it !== own);
  const about = (spec: Partial<Spec> = {}) => [
    `Version: ${spec.version ?? version}`,
    `Release: ${spec.release ?? release}`,
    'Summary: made for a test',
    'AutoReqProv: no',
    ...(spec.noarch ? ['BuildArch: noarch'] : []),
    ...(spec.epoch === undefined ? [] : [`Epoch: ${spec.epoch}`]),
    ...(spec.provides ?? []).map((it) => `Provides: ${it}`),
    ...(spec.requires ?? []).map((it) => `Requires: ${it}`),
  ];
  return [
    ...[`Name: ${source}`, 'License: GPLv2', ...about(own)],
    ...['%description', 'Made for a test.'],
    ...others.flatMap((it) => [
      ...[`%package -n ${it.name}`, ...about(it), `%description -n ${it.name}`, 'Made for a test.'],
    ]),
    '%install',
    ...packages.flatMap((it) => installing(it, join(content, it.name))),
    ...packages.flatMap((it) => [
      `%files${it === own ? '' : ` -n ${it.name}`}`,
      ...Object.keys({ ...it.files, ...it.links }),
    ]),
    ...(build.changelog ? ['%changelog', build.changelog] : []),
    '',
  ].join('\n');
}

function installing({ files = {}, links = {} }: Spec, content: string): string[] {
  mkdirSync(content);
  for (const [i, text] of Object.values(files).entries()) writeFileSync(join(content, String(i)), text);
  return [
    ...Object.keys(files).map((path, i) => `install -D -m 644 ${content}/${i} %{buildroot}${path}`),
    ...Object.entries(links).map(
      ([path, to]) => `mkdir -p $(dirname %{buildroot}${path}) && ln -s ${to} %{buildroot}${path}`,
    ),
  ];
}

/** A cpio archive whose entries have only their numbers among the rpm's files, and their content. */
export function stripped(entries: readonly (readonly [number: number, content: Buffer])[]): Buffer {
  const pad = (size: number) => Buffer.alloc((4 - (size % 4)) % 4);
  const parts = entries.map(([number, content]) =>
    Buffer.concat([
      Buffer.from(`07070X${number.toString(16).padStart(8, '0')}`),
      ...[pad(14), content, pad(content.length)],
    ]),
  );
  const trailer = `070701${'0'.repeat(8 * 11)}0000000b${'0'.repeat(8)}TRAILER!!!\0`;
  return Buffer.concat([...parts, Buffer.from(trailer), pad(trailer.length)]);
}
