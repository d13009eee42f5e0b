/** Real rpms, built by rpmbuild from spec files like EL's. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installed } from '../services.ts';

export const rpmbuild = (): boolean => installed('/usr/bin/rpmbuild', 'Debian package rpm');

/** rpm's name of each way to compress a payload. */
export const PAYLOADS = { gzip: 'w9.gzdio', xz: 'w2.xzdio', zstd: 'w3.zstdio' } as const;

export interface Spec {
  readonly name: string;
  readonly version?: string;
  readonly release?: string;
  readonly epoch?: number;
  readonly provides?: readonly string[];
  readonly requires?: readonly string[];
  /** Path to content. */
  readonly files?: Readonly<Record<string, string>>;
  readonly payload?: keyof typeof PAYLOADS;
}

/** A built rpm. */
export interface Built {
  readonly data: Buffer;
  /** What `rpm -q` prints of it, a line each. */
  query(...options: string[]): string[];
}

/** Build it, and give it to `use`; its folder is removed after. */
export async function withRpm<T>(spec: Spec, use: (rpm: Built) => T | Promise<T>): Promise<T> {
  return withFiles([spec], spec.payload, ([file = '']) => {
    const query = (...those: string[]) =>
      execFileSync('rpm', ['-qp', ...those, file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
        .split('\n')
        .slice(0, -1);
    return use({ data: readFileSync(file), query });
  });
}

/** Build many of different names at once, which takes hardly longer than one. */
export const buildRpms = (specs: readonly Spec[]): Promise<Buffer[]> =>
  withFiles(specs, undefined, (files) => files.map((file) => readFileSync(file)));

async function withFiles<T>(
  specs: readonly Spec[],
  payload: keyof typeof PAYLOADS = 'gzip',
  use: (files: string[]) => T | Promise<T>,
): Promise<T> {
  const top = mkdtempSync(join(tmpdir(), 'kmod-gate-rpm-'));
  try {
    const file = join(top, 'it.spec');
    writeFileSync(file, textOf(specs, join(top, 'content')));
    const define = (name: string, value: string) => ['--define', `${name} ${value}`];
    const options = [
      ...['-bb', '--quiet', '--target', 'x86_64', '--nodeps'],
      ...define('_topdir', top),
      ...define('_binary_payload', PAYLOADS[payload]),
      ...define('debug_package', '%{nil}'),
      ...define('_build_name_fmt', '%%{NAME}.rpm'),
    ];
    execFileSync('rpmbuild', [...options, file], { stdio: 'pipe' });
    return await use(specs.map(({ name }) => join(top, 'RPMS', `${name}.rpm`)));
  } finally {
    rmSync(top, { recursive: true, force: true });
  }
}

/** A source package that makes them, and no rpm of its own name. */
function textOf(specs: readonly Spec[], content: string): string {
  mkdirSync(content);
  const install = specs.flatMap(({ files = {} }, s) =>
    Object.entries(files).map(([path, text], i) => {
      const from = join(content, `${s}.${i}`);
      writeFileSync(from, text);
      return `install -D -m 644 ${from} %{buildroot}${path}`;
    }),
  );
  return [
    ...['Name: source', 'Version: 1', 'Release: 1', 'Summary: made for a test', 'License: GPLv2'],
    ...['%description', 'Made for a test.'],
    ...specs.flatMap((spec) => [
      `%package -n ${spec.name}`,
      `Version: ${spec.version ?? '5.14.0'}`,
      `Release: ${spec.release ?? '70.el9'}`,
      ...(spec.epoch === undefined ? [] : [`Epoch: ${spec.epoch}`]),
      'Summary: made for a test',
      'AutoReqProv: no',
      ...(spec.provides ?? []).map((it) => `Provides: ${it}`),
      ...(spec.requires ?? []).map((it) => `Requires: ${it}`),
      `%description -n ${spec.name}`,
      'Made for a test.',
      `%files -n ${spec.name}`,
      ...Object.keys(spec.files ?? {}),
    ]),
    '%install',
    ...install,
    '',
  ].join('\n');
}
