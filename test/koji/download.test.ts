/** Files of a hub over HTTP: what comes, what does not, and where they are. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createFetch, DownloadError, rpmUrl } from '../../src/koji/download.ts';
import { type Answer, type FileServer, serveFiles } from '../servers/files.ts';

const servers: FileServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});
async function serving(answers: Record<string, Answer>, held = 0): Promise<FileServer> {
  const server = await serveFiles(new Map(Object.entries(answers)), held);
  servers.push(server);
  return server;
}
const fetch = createFetch({ server: 'http://127.0.0.1/kojihub', timeout: 5_000, env: {} });

async function all(url: string, get = fetch): Promise<Buffer> {
  const { parts } = await get(url);
  const found: Uint8Array[] = [];
  for (let part = await parts.next(); !part.done; part = await parts.next()) found.push(part.value);
  return Buffer.concat(found);
}
const to =
  (location: string): Answer =>
  (response) =>
    response.writeHead(302, { Location: location }).end();

test('a file comes as it is, and its connection is let go', async () => {
  const file = Buffer.alloc(1_000_000, 'some text ');
  const server = await serving({ '/a.rpm': file });
  expect((await all(`${server.url}/a.rpm`)).equals(file)).toBe(true);
  await vi.waitFor(async () => expect(await server.connections()).toBe(0));
});

test('who has enough lets go of the rest', async () => {
  const server = await serving({ '/a.rpm': Buffer.alloc(1_000_000) }, 500_000);
  const { parts, close } = await fetch(`${server.url}/a.rpm`);
  expect((await parts.next()).done).toBe(false);
  close();
  await vi.waitFor(async () => expect(await server.connections()).toBe(0));
});

test('redirects are followed, also to another server', async () => {
  const mirror = await serving({ '/b.rpm': Buffer.from('mirrored') });
  const server = await serving({ '/a.rpm': to('/c.rpm'), '/c.rpm': to(`${mirror.url}/b.rpm`) });
  expect((await all(`${server.url}/a.rpm`)).toString()).toBe('mirrored');
});

describe('no file', () => {
  test.each<[string, Answer | null, RegExp]>([
    ['there', null, /\/a\.rpm: there is no such file \(HTTP 404\); check topurl in \[koji\]$/],
    ['allowed', (response) => response.writeHead(403).end(), /\/a\.rpm: HTTP 403 Forbidden; check topurl/],
    ['but itself again', to('/a.rpm'), /\/a\.rpm: more than 5 redirects$/],
    ['but nowhere', (response) => response.writeHead(302).end(), /\/a\.rpm: HTTP 302 Found; check/],
    [
      'but another protocol',
      to('ftp://127.0.0.1/a.rpm'),
      /\/a\.rpm: leads to .*, which is neither http nor https$/,
    ],
  ])('%s', async (_, answer, message) => {
    const server = await serving(answer ? { '/a.rpm': answer } : {});
    const failing = all(`${server.url}/a.rpm`);
    await expect(failing).rejects.toThrow(DownloadError);
    await expect(failing).rejects.toThrow(message);
  });
  test('whole', async () => {
    const cut: Answer = (response) => {
      response.writeHead(200, { 'Content-Length': 1000 });
      response.write('some', () => response.destroy());
    };
    const server = await serving({ '/a.rpm': cut });
    await expect(all(`${server.url}/a.rpm`)).rejects.toThrow(
      /\/a\.rpm: broke off after 4 bytes: .*; try again$/,
    );
  });
  test('in time', async () => {
    const server = await serving({ '/a.rpm': () => undefined, '/b.rpm': Buffer.alloc(1000) }, 100);
    const impatient = createFetch({ server: 'http://127.0.0.1/kojihub', timeout: 50, env: {} });
    for (const name of ['a', 'b'])
      await expect(all(`${server.url}/${name}.rpm`, impatient)).rejects.toThrow(
        new RegExp(`/${name}\\.rpm: nothing came within 50 ms; try again, or see timeout$`),
      );
  });
  test('where nobody listens', async () => {
    const server = await serving({});
    await server.close();
    servers.pop();
    await expect(all(`${server.url}/a.rpm`)).rejects.toThrow(
      /\/a\.rpm: .*ECONNREFUSED.*; check topurl in \[koji\]$/,
    );
  });
});

test.each<[string, Answer, boolean]>([
  ['is busy', (response) => response.writeHead(503).end(), true],
  ['does not let us', (response) => response.writeHead(403).end(), false],
])('a server that %s: whether that may pass', async (_, answer, passes) => {
  const server = await serving({ '/a.rpm': answer });
  await expect(all(`${server.url}/a.rpm`)).rejects.toMatchObject({ passes });
});

test('through the proxy of the environment', async () => {
  const asked = 'http://files.example.org/a.rpm';
  const proxy = await serving({ [asked]: Buffer.from('by proxy') });
  const env = { http_proxy: proxy.url };
  const get = createFetch({ server: 'http://koji.example.org/kojihub', timeout: 5_000, env });
  expect((await all(asked, get)).toString()).toBe('by proxy');
  expect(proxy.asked).toEqual([asked]);
});

describe('where an rpm is', () => {
  const build = { name: 'kernel', version: '5.14.0', release: '70.el9' };
  const rpm = { ...build, name: 'kernel-core', arch: 'x86_64' };
  test.each([
    ['of a build', {}, 'packages/kernel/5.14.0/70.el9/x86_64/kernel-core-5.14.0-70.el9.x86_64.rpm'],
    [
      'of the volume DEFAULT',
      { volume_name: 'DEFAULT' },
      'packages/kernel/5.14.0/70.el9/x86_64/kernel-core-5.14.0-70.el9.x86_64.rpm',
    ],
    [
      'of another volume',
      { volume_name: 'archive' },
      'vol/archive/packages/kernel/5.14.0/70.el9/x86_64/kernel-core-5.14.0-70.el9.x86_64.rpm',
    ],
    // The rpms of a draft do not have its mark.
    [
      'of a draft',
      { release: '70.el9,draft_7' },
      'packages/kernel/5.14.0/70.el9%2Cdraft_7/x86_64/kernel-core-5.14.0-70.el9.x86_64.rpm',
    ],
  ])('%s', (_, more, path) => {
    for (const topurl of ['https://koji.example.org/kojifiles', 'https://koji.example.org/kojifiles/'])
      expect(rpmUrl(topurl, { ...build, ...more }, rpm)).toBe(`https://koji.example.org/kojifiles/${path}`);
  });
  test('none of its names leads elsewhere', () => {
    expect(rpmUrl('http://h', { ...build, name: '../..' }, rpm)).not.toContain('/../');
  });
});
