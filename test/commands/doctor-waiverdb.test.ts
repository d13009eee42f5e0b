/** What `doctor` says of the WaiverDB of a configuration, and that it changes nothing there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WaiverDbSettings } from '../../src/config/waiverdb.ts';
import { type FakeWaiverDb, serveFake } from '../waiverdb/fake.ts';
import { closeHubs, linesOf } from './doctor-setup.ts';

let fake: FakeWaiverDb;
let folder: string;
beforeEach(async () => {
  fake = await serveFake();
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
});
afterEach(async () => {
  await fake.close();
  await closeHubs();
  rmSync(folder, { recursive: true });
});

async function told(more: Partial<WaiverDbSettings> = {}): Promise<string[]> {
  const settings = {
    url: fake.url,
    productVersion: 'el-9',
    testcase: 'kmod-gate.GATE',
    write: false,
    proxy: false,
  };
  const lines = await linesOf({ rest: { waiverdb: { ...settings, ...more } } });
  return lines.filter((line) => line.includes(' waiverdb: '));
}
const tokenFile = (text: string) => {
  writeFileSync(join(folder, 'token'), text);
  return join(folder, 'token');
};

test('one that is read is told with its version and what it has', async () => {
  for (const kernel of ['kernel-1-1', 'kernel-1-2']) fake.give({ subject_identifier: kernel });
  fake.give({ subject_identifier: 'kernel-1-1', testcase: 'boot.tier1' });
  expect(await told()).toEqual([
    `ok waiverdb: WaiverDB 3.2.0 answers at ${fake.url}`,
    'ok waiverdb: 2 records of kmod-gate.c9s for el-9 can be read',
    'info waiverdb: is only read; write = true gives it the waivers that are given here',
  ]);
  // A reading look: nothing was sent there.
  expect(fake.requests.filter((request) => !request.startsWith('GET '))).toEqual([]);
});

test('a product version of which it has nothing may be another name', async () => {
  fake.give({ subject_identifier: 'kernel-1-1' });
  fake.about = undefined;
  const [first, second, third] = await told({ productVersion: 'rhel-9' });
  expect(first).toBe(`ok waiverdb: WaiverDB answers at ${fake.url}`);
  expect(second).toBe('ok waiverdb: 0 records of kmod-gate.c9s for rhel-9 can be read');
  expect(third).toMatch(
    /^unsure waiverdb: it has no waiver at all of the product version rhel-9 \| .*product_version/,
  );
});

test.each([
  ['a page in place of its API', 'page', /does not answer in JSON: is the URL that of its API\?/],
  ['a proxy that says no', 'down', /HTTP 502/],
] as const)('%s is wrong', async (_, fault, words) => {
  fake.fault = () => fault;
  const [line, ...others] = await told();
  expect(line).toMatch(/^wrong waiverdb: .* \| check url in \[waiverdb\]/);
  expect(line).toMatch(words);
  expect(others).toEqual([]);
});

test('one that nobody serves is wrong', async () => {
  const { url } = fake;
  await fake.close();
  expect(await told({ url })).toEqual([
    expect.stringMatching(/^wrong waiverdb: .*does not answer: .*ECONNREFUSED/),
  ]);
});

test('of a token it is told what can be told without giving a waiver', async () => {
  const last = async (more: Partial<WaiverDbSettings>) => (await told({ write: true, ...more })).at(-1);
  expect(await last({})).toMatch(/^unsure waiverdb: waivers are given without a token/);
  expect(await last({ tokenFile: join(folder, 'none') })).toMatch(
    /^wrong waiverdb: token_file .*none.*ENOENT/,
  );
  expect(await last({ tokenFile: tokenFile('two words') })).toMatch(/^wrong waiverdb: .*holds no token/);
  expect(await last({ tokenFile: tokenFile('s3cr3t') })).toMatch(
    /^unsure waiverdb: whether it takes the token/,
  );
  fake.about = { version: '2.0', auth_method: 'Kerberos' };
  expect(await last({ tokenFile: tokenFile('s3cr3t') })).toMatch(/^wrong waiverdb: its login is Kerberos/);
  expect(fake.records).toEqual([]);
});

test('where none is configured nothing is said', async () => {
  expect((await linesOf({})).filter((line) => line.includes('waiverdb'))).toEqual([]);
});
