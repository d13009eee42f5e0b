/** Rpms that the hub in memory makes of a kernel's types: as rpm itself and the gate's own reader take them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeRpm } from '../../src/sim/rpmfile.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { imageOfRpm } from '../../src/symbols/kernelrpm.ts';
import { wholeSource } from '../../src/symbols/source.ts';
import { SMALL_BTF } from '../symbols/images.ts';
import { rpmbuild } from '../symbols/rpmbuild.ts';

const CORE = { name: 'kernel-core', version: '6.1.170', release: '47.el9', arch: 'x86_64' };
const FILES = [
  { path: '/lib/modules/a/System.map', data: Buffer.from('map') },
  { path: '/lib/modules/a/vmlinuz', data: SMALL_BTF },
  { path: '/boot/odd', data: Buffer.from('x'.repeat(4097)) },
];

test.runIf(rpmbuild())('rpm lists its files, with their sizes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  try {
    const file = join(folder, 'core.rpm');
    writeFileSync(file, writeRpm(CORE, FILES));
    const listed = execFileSync('rpm', [
      ...['-qp', '--nosignature', '--nodigest', '--qf', '%{NEVRA}\n[%{FILENAMES} %{FILESIZES}\n]', file],
    ]);
    expect(listed.toString().split('\n')).toEqual([
      'kernel-core-6.1.170-47.el9.x86_64',
      ...FILES.map(({ path, data }) => `${path} ${data.length}`),
      '',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the kernel in it is found', async () => {
  const image = await imageOfRpm(wholeSource(writeRpm(CORE, FILES), 'core.rpm'));
  expect(Buffer.from(image?.btf ?? []).equals(SMALL_BTF)).toBe(true);
});

test('the hub in memory serves the one rpm that holds a kernel, where the scenario has its types', async () => {
  const { kernels, ...rest } = loadScenario(`${import.meta.dirname}/small.toml`);
  const world = createWorld({
    ...rest,
    kernels: kernels.map((kernel, i) =>
      i === 0 ? { ...kernel, types: SMALL_BTF } : { ...kernel, built: true },
    ),
  });
  const server = await serveWorld(world);
  const get = (path: string) => fetch(`${server.topurl}/packages/kernel/${path}`);
  try {
    const found = await get('6.1.170/47.el9/x86_64/kernel-core-6.1.170-47.el9.x86_64.rpm');
    const image = await imageOfRpm(wholeSource(Buffer.from(await found.arrayBuffer()), 'served'));
    expect(Buffer.from(image?.btf ?? []).equals(SMALL_BTF)).toBe(true);
    for (const path of [
      '6.1.170/47.el9/x86_64/kernel-modules-6.1.170-47.el9.x86_64.rpm',
      '6.1.176/50.el9/x86_64/kernel-core-6.1.176-50.el9.x86_64.rpm',
      '../../secret',
    ])
      expect((await get(path)).status).toBe(404);
  } finally {
    await server.close();
  }
});
