/** What CI says of what is shipped: all packages are listed, and known holes count where a registry tells of them. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

interface Locked {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly dev?: boolean }>>;
}
const lock: Locked = JSON.parse(readFileSync(`${ROOT}/package-lock.json`, 'utf8'));

/** Run it before a registry that answers an audit so. */
async function audit(status: number, answer: unknown) {
  const registry = createServer((request, response) => {
    request.resume();
    const asked = request.method === 'POST';
    response.writeHead(asked ? status : 200, { 'content-type': 'application/json' });
    // Of who needs the package, npm asks which versions do.
    const name = decodeURIComponent(request.url?.slice(1) ?? '');
    const version = lock.packages[`node_modules/${name}`]?.version ?? '0.0.0';
    const dist = { tarball: 'http://127.0.0.1/x.tgz', shasum: '0'.repeat(40) };
    const dependencies = name === 'debug' ? {} : { debug: '*' };
    const versions = { [version]: { name, version, dist, dependencies } };
    response.end(JSON.stringify(asked ? answer : { name, 'dist-tags': { latest: version }, versions }));
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void registry.close());
  const { port } = registry.address() as AddressInfo;
  const cache = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  onTestFinished(() => rmSync(cache, { recursive: true }));
  const child = spawn(process.execPath, ['.ci/audit.mjs'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      npm_config_cache: cache,
      npm_config_registry: `http://127.0.0.1:${port}/`,
      ...{ npm_config_fetch_retries: '0', no_proxy: '127.0.0.1', npm_config_noproxy: '127.0.0.1' },
    },
  });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, said };
}

const hole = (severity: string) => ({
  debug: [
    { id: 1, url: 'https://example.org/1', title: 'a planted hole', severity, vulnerable_versions: '*' },
  ],
});

test('a registry that answers no audits is told of, and fails nothing; the SBOM has all that is shipped', async () => {
  const { code, said } = await audit(405, { error: 'Method Not Allowed' });
  expect([code, said]).toEqual([0, expect.stringMatching(/SKIPPED: npm audit: the registry answers none/)]);
  const sbom = JSON.parse(readFileSync(`${ROOT}/build/sbom.cdx.json`, 'utf8'));
  const shipped = Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && !dev)
    .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`);
  expect(shipped.length).toBeGreaterThan(50);
  const listed = sbom.components.map(
    (one: { name: string; version: string }) => `${one.name}@${one.version}`,
  );
  expect(listed.toSorted()).toEqual(shipped.toSorted());
  expect(sbom.metadata.component).toMatchObject({ name: 'kmod-gate', type: 'application' });
  const refs = sbom.components.map((one: { 'bom-ref': string }) => one['bom-ref']);
  const depended = sbom.dependencies.flatMap((one: { dependsOn: string[] }) => one.dependsOn);
  expect(depended.filter((ref: string) => !refs.includes(ref))).toEqual([]);
});

test.each([
  ['none', {}, 0, /npm audit: no known hole/],
  ['a small one', hole('moderate'), 0, /npm audit: .*moderate/],
  ['a large one', hole('high'), 1, /high: debug: a planted hole/],
])('known holes: %s', async (_, answer, code, words) => {
  expect(await audit(200, answer)).toEqual({ code, said: expect.stringMatching(words) });
});
