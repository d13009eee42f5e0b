/** Real rpms, built by rpmbuild from spec files like EL's. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  readonly files?: Readonly<Record<string, string>>;
  /** Path of a link to where it leads. */
  readonly links?: Readonly<Record<string, string>>;
  readonly payload?: keyof typeof PAYLOADS;
  /** Name of the package whose build makes it, where it is not itself. */
  readonly source?: string;
  readonly arch?: 'x86_64' | 'aarch64' | 'noarch';
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
  const top = mkdtempSync(join(tmpdir(), 'kmod-gate-rpm-'));
  try {
    const file = join(top, 'it.spec');
    writeFileSync(file, textOf(spec, join(top, 'content')));
    const define = (name: string, value: string) => ['--define', `${name} ${value}`];
    const options = [
      ...['-bb', '--quiet', '--target', spec.arch ?? 'x86_64', '--nodeps'],
      ...define('_topdir', top),
      ...define('_binary_payload', PAYLOADS[spec.payload ?? 'gzip']),
      ...define('debug_package', '%{nil}'),
    ];
    execFileSync('rpmbuild', [...options, file], { stdio: 'pipe' });
    const folder = join(top, 'RPMS', spec.arch ?? 'x86_64');
    const rpm = join(folder, readdirSync(folder)[0] ?? '');
    const query = (...those: string[]) =>
      execFileSync('rpm', ['-qp', ...those, rpm], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
        .split('\n')
        .slice(0, -1);
    return await use({ data: readFileSync(rpm), file: rpm, query });
  } finally {
    rmSync(top, { recursive: true, force: true });
  }
}

function textOf(spec: Spec, content: string): string {
  const files = Object.entries(spec.files ?? {});
  const links = Object.entries(spec.links ?? {});
  mkdirSync(content);
  for (const [i, [, text]] of files.entries()) writeFileSync(join(content, String(i)), text);
  const of = spec.source === undefined ? '' : `-n ${spec.name}`;
  const about = ['Summary: made for a test', 'License: GPLv2'];
  const dependencies = [
    'AutoReqProv: no',
    ...(spec.provides ?? []).map((it) => `Provides: ${it}`),
    ...(spec.requires ?? []).map((it) => `Requires: ${it}`),
  ];
  return [
    `Name: ${spec.source ?? spec.name}`,
    `Version: ${spec.version ?? '5.14.0'}`,
    `Release: ${spec.release ?? '70.el9'}`,
    ...(spec.epoch === undefined ? [] : [`Epoch: ${spec.epoch}`]),
    ...about,
    ...(of ? ['%description', 'Made for a test.', `%package ${of}`, about[0]] : []),
    ...dependencies,
    `%description ${of}`,
    'Made for a test.',
    '%install',
    ...files.map(([path], i) => `install -D -m 644 ${content}/${i} %{buildroot}${path}`),
    ...links.map(
      ([path, to]) => `mkdir -p $(dirname %{buildroot}${path}) && ln -s ${to} %{buildroot}${path}`,
    ),
    `%files ${of}`,
    ...[...files, ...links].map(([path]) => path),
    '',
  ].join('\n');
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
