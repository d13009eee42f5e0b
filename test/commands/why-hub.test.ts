/** `kmod-gate why` of builds on the hub in memory, whose rpms a web server has: real rpms with real kernels' types. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type WhyOptions, why } from '../../src/commands/why.ts';
import type { Config } from '../../src/config/config.ts';
import { loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { BTF, type Version } from '../btf/kernels.ts';
import { type Answer, type FileServer, serveFiles } from '../servers/files.ts';
import { bzImage, vmlinux } from '../symbols/images.ts';
import { type PAYLOADS, rpmbuild, withRpm } from '../symbols/rpmbuild.ts';

const SMALL = fileURLToPath(new URL('../sim/small.toml', import.meta.url));
const small = (name: string) => fileURLToPath(new URL(`../sim/small/${name}`, import.meta.url));
const OLD = 'kernel-6.1.170-47.el9';
const NEW = 'kernel-6.1.176-50.el9';
const BETA = 'kmod-beta-2.1-3.el9';
const MiB = 2 ** 20;
/** How much of each rpm is never sent. */
const HELD = 2 * MiB;

const noon = (day: number): number => Date.UTC(2026, 10, day, 12) / 1000;
const OLDER = { at: noon(1), author: 'Ann [6.1.170-47.el9]', text: '- mm: old (Ann) [RHEL-1]' };
const NEWER = {
  at: noon(9),
  author: 'Bob [6.1.176-50.el9]',
  text: '- docs: say more (Ann) [RHEL-2]\n- driver core: struct device gets flags (Bob) [RHEL-3] {CVE-2026-12345}',
};
const changelogs: Readonly<Record<string, Scenario['kernels'][number]['changelog']>> = {
  [OLD]: [OLDER],
  [NEW]: [NEWER, OLDER],
};

/** Both kernels are built. */
function scenario(lacks: readonly string[]): Scenario {
  const { hub, kernels, ...rest } = loadScenario(SMALL);
  const built = kernels.map((it) => ({ ...it, built: true, changelog: changelogs[it.nvr] ?? [] }));
  return { ...rest, hub: { ...hub, lacks }, kernels: built };
}

/** Where the rpm of a kernel is below `topurl`. */
const pathOf = (version: string, release: string, arch = 'x86_64') =>
  `/files/packages/kernel/${version}/${release}/${arch}/kernel-core-${version}-${release}.${arch}.rpm`;
const OLD_PATH = pathOf('6.1.170', '47.el9');
const NEW_PATH = pathOf('6.1.176', '50.el9');

/** kernel-core, with a kernel of these types in it, and much behind it. */
const coreRpm = (
  version: Version,
  release: string,
  payload: keyof typeof PAYLOADS,
  kernel = kernelOf(version),
) =>
  withRpm(
    {
      ...{ name: 'kernel-core', version, release, payload },
      files: {
        '/lib/modules/a/System.map': 'x'.repeat(100_000),
        '/lib/modules/a/vmlinuz': kernel,
        '/lib/modules/b/much': randomBytes(HELD + MiB),
      },
    },
    ({ data }) => data,
  );
const kernelOf = (version: Version) => bzImage(gzipSync(vmlinux({}, BTF[version]), { level: 1 }));

describe.runIf(rpmbuild())('of builds on the hub', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-why-hub-'));
  let hub: WorldServer;
  let rpms: Map<string, Answer>;
  beforeAll(async () => {
    hub = await serveWorld(createWorld(scenario([])));
    rpms = new Map<string, Answer>([
      [OLD_PATH, await coreRpm('6.1.170', '47.el9', 'xz')],
      [NEW_PATH, await coreRpm('6.1.176', '50.el9', 'zstd')],
    ]);
  });
  let files: FileServer | undefined;
  afterEach(async () => {
    await files?.close();
    files = undefined;
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await hub.close();
  });

  /** @param change files that are others, or null: not there */
  async function asked(options: Partial<WhyOptions>, change: Record<string, Answer | null> = {}, koji = {}) {
    const all = new Map(rpms);
    for (const [path, answer] of Object.entries(change))
      if (answer) all.set(path, answer);
      else all.delete(path);
    files = await serveFiles(all, HELD);
    const settings = { server: hub.url, authtype: 'noauth', timeout: 30_000, topurl: `${files.url}/files/` };
    const config = async () => ({ koji: { ...settings, ...koji } }) as unknown as Config;
    let text = '';
    const write = (more: string) => {
      text += more;
    };
    const answer = await why(
      { write, colour: false },
      { baseline: [OLD], kernel: [NEW], kmods: [], json: false, config, ...options },
    );
    return { answer, text };
  }

  test('types come from the one rpm with the kernel, no further than that; who changed it, from the hub', async () => {
    const { answer, text } = await asked({ kmods: [BETA] });
    expect(answer).toBe(false);
    expect(text).toContain('  struct device: + unsigned long flags[1] (752 bytes, was 744)\n');
    expect(text).toMatch(/^kmod-beta-2\.1-3\.el9 +1 +struct device/m);
    expect(text).toContain(
      [
        'Of 2 new lines of the changelog 1 names a declaration, a symbol or a part of the kernel that counts here.',
        'They are candidates and no proof:',
        '  driver core: struct device gets flags (Bob) [RHEL-3] {CVE-2026-12345}',
        '    names struct device',
        '  … and 1 other line; --json has them all',
      ].join('\n'),
    );
    expect(files?.asked).toEqual([OLD_PATH, NEW_PATH]);
    await vi.waitFor(async () => expect(await files?.connections()).toBe(0));
  });

  test('as JSON', async () => {
    const { text } = await asked({ kmods: [BETA], json: true });
    const { causes, kmods, changelog } = JSON.parse(text);
    expect(causes[0].name).toBe('device');
    expect(kmods[0]).toMatchObject({ name: BETA, changed: 1 });
    expect(changelog).toEqual({
      ...{ new: 2, repeated: 0, gap: null },
      candidates: [
        {
          date: '2026-11-09',
          text: 'driver core: struct device gets flags (Bob) [RHEL-3] {CVE-2026-12345}',
          author: NEWER.author,
          ...{ tickets: ['RHEL-3'], cves: ['CVE-2026-12345'], names: ['struct device'] },
        },
        expect.objectContaining({ text: 'docs: say more (Ann) [RHEL-2]', names: [] }),
      ],
    });
  });

  test('a hub that does not tell changelogs', async () => {
    const lacking = await serveWorld(createWorld(scenario(['getChangelogEntries'])));
    const { answer, text } = await asked({}, {}, { server: lacking.url }).finally(lacking.close);
    expect(answer).toBe(false);
    expect(text).toContain('  struct device: + unsigned long flags[1]');
    expect(text).toMatch(
      /\nWho changed it is not known: kernel-6\.1\.170-47\.el9: .*getChangelogEntries.*\.\n$/,
    );
  });

  test('one on the hub, the other in files, which have no changelog', async () => {
    const btf = join(folder, '6.1.170.btf');
    writeFileSync(btf, BTF['6.1.170']);
    const { text } = await asked({ baseline: [btf, small('6.1.170.symvers')], json: true });
    expect(JSON.parse(text)).toMatchObject({ changelog: null, symbols: { changed: expect.any(Number) } });
    expect(files?.asked).toEqual([NEW_PATH]);
  });

  test('what a failed build names', async () => {
    const log = join(folder, 'build.log');
    writeFileSync(log, "a.c:12:3: error: 'struct fb_deferred_io' has no member named 'lock'\n");
    const { text } = await asked({ logs: [log] });
    expect(text).toMatch(
      /^Errors of the build.*\n {2}a\.c:12: 'struct fb_deferred_io' has no member named 'lock'\n {4}struct mutex lock: the newer kernel does not have it/,
    );
    expect(JSON.parse((await asked({ logs: [log], json: true })).text).errors).toEqual([
      {
        ...{ file: 'a.c', line: 12, message: "'struct fb_deferred_io' has no member named 'lock'" },
        declared: { what: 'struct fb_deferred_io.lock', was: 'struct mutex lock', now: null, changed: true },
      },
    ]);
  });

  const MEND = `--kernel: ${NEW}: its types \\(BTF\\) cannot be had: `;
  test.each<[string, Record<string, Answer | null>, object, RegExp]>([
    [
      'no topurl',
      {},
      { topurl: undefined },
      /--baseline: .*: topurl in \[koji\] does not say where the hub's files are$/,
    ],
    [
      'a file that is gone',
      { [NEW_PATH]: null },
      {},
      new RegExp(`^${MEND}http.*${NEW_PATH}: there is no such file \\(HTTP 404\\)`),
    ],
    [
      'a page of a web server',
      { [NEW_PATH]: (response) => response.end('<html>Log in, please</html>'.repeat(20)) },
      {},
      new RegExp(
        `^${MEND}kernel-core-6\\.1\\.176-50\\.el9\\.x86_64\\.rpm: byte 0: no rpm; fetch the whole rpm$`,
      ),
    ],
  ])('%s is told in one line', async (_, change, koji, message) => {
    await expect(asked({}, change, koji)).rejects.toThrow(message);
    await expect(asked({}, change, koji)).rejects.not.toThrow(/\n/);
  });
  test('a kernel without types is told, and one that is no kernel', async () => {
    const bare = await coreRpm(
      '6.1.176',
      '50.el9',
      'gzip',
      bzImage(gzipSync(Buffer.concat([vmlinux({}, Buffer.alloc(0))]))),
    );
    await expect(asked({}, { [NEW_PATH]: bare })).rejects.toThrow(/was built without types|no BTF/);
    const none = await coreRpm('6.1.176', '50.el9', 'gzip', Buffer.from('no kernel at all, but some text'));
    await expect(asked({}, { [NEW_PATH]: none })).rejects.toThrow(
      /none of its rpms for x86_64 holds a kernel/,
    );
  });
  test('a build that is not there, and an architecture that it does not have', async () => {
    await expect(asked({ kernel: ['kernel-9-9'] })).rejects.toThrow(
      /^kernel-9-9: there is no such file, and the hub/,
    );
    await expect(asked({ arch: 's390x' })).rejects.toThrow(
      /its rpms provide no symbol for s390x, but for x86_64/,
    );
  });
});
