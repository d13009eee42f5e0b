/** Real rpms, built by rpmbuild from spec files like EL's. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
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
  const top = mkdtempSync(join(tmpdir(), 'kmod-gate-rpm-'));
  try {
    const file = join(top, 'it.spec');
    writeFileSync(file, textOf(spec, join(top, 'content')));
    const define = (name: string, value: string) => ['--define', `${name} ${value}`];
    const options = [
      ...['-bb', '--quiet', '--target', 'x86_64', '--nodeps'],
      ...define('_topdir', top),
      ...define('_binary_payload', PAYLOADS[spec.payload ?? 'gzip']),
      ...define('debug_package', '%{nil}'),
    ];
    execFileSync('rpmbuild', [...options, file], { stdio: 'pipe' });
    const folder = join(top, 'RPMS/x86_64');
    const rpm = join(folder, readdirSync(folder)[0] ?? '');
    const query = (...those: string[]) =>
      execFileSync('rpm', ['-qp', ...those, rpm], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
        .split('\n')
        .slice(0, -1);
    return await use({ data: readFileSync(rpm), query });
  } finally {
    rmSync(top, { recursive: true, force: true });
  }
}

function textOf(spec: Spec, content: string): string {
  const files = Object.entries(spec.files ?? {});
  mkdirSync(content);
  for (const [i, [, text]] of files.entries()) writeFileSync(join(content, String(i)), text);
  return [
    `Name: ${spec.name}`,
    `Version: ${spec.version ?? '5.14.0'}`,
    `Release: ${spec.release ?? '70.el9'}`,
    ...(spec.epoch === undefined ? [] : [`Epoch: ${spec.epoch}`]),
    'Summary: made for a test',
    'License: GPLv2',
    'AutoReqProv: no',
    ...(spec.provides ?? []).map((it) => `Provides: ${it}`),
    ...(spec.requires ?? []).map((it) => `Requires: ${it}`),
    '%description',
    'Made for a test.',
    '%install',
    ...files.map(([path], i) => `install -D -m 644 ${content}/${i} %{buildroot}${path}`),
    '%files',
    ...files.map(([path]) => path),
    '',
  ].join('\n');
}
