/** Login by client certificate, through a real httpd that offers TLS 1.2 and 1.3. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { getKojiVersion, getLoggedInUser } from '../../src/koji/calls.ts';
import { connectHub, type HubOptions } from '../../src/koji/client.ts';
import type { Hub } from '../../src/koji/hub.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { SMALL } from '../scenarios/stage.ts';
import {
  type Authority,
  createAuthority,
  type Httpd,
  httpd,
  startHttpd,
  VERIFIED,
} from '../servers/httpd.ts';

describe.skipIf(!httpd())('a hub behind httpd', () => {
  let ours: Authority;
  let theirs: Authority;
  let world: World;
  let server: WorldServer;
  let front: Httpd;
  let hub: Hub | undefined;

  beforeAll(async () => {
    [ours, theirs] = [createAuthority(), createAuthority()];
    world = createWorld(loadScenario(SMALL));
    server = await serveWorld(world, { verifiedBy: VERIFIED });
    front = await startHttpd(server.url, ours);
  });
  afterEach(async () => hub?.close());
  afterAll(async () => {
    await front.stop();
    await server.close();
    ours.remove();
    theirs.remove();
  });

  const connect = (options: Partial<HubOptions>): Hub => {
    const settings = { server: front.url, authtype: 'ssl', serverca: ours.ca, timeout: 5_000 } as const;
    hub = connectHub({ ...settings, ...options });
    return hub;
  };
  const whoAmI = (options: Partial<HubOptions>) => connect(options).write(getLoggedInUser());

  test('takes a certificate with its key in one file', async () => {
    expect(await whoAmI({ cert: ours.issue('kmod-gate') })).toMatchObject({ name: 'kmod-gate' });
  });
  test('takes certificate and key in two files', async () => {
    const pem = ours.issue('kmod-gate');
    const files = { cert: pem.replace('.pem', '.crt'), key: pem.replace('.pem', '.key') };
    expect(await whoAmI(files)).toMatchObject({ name: 'kmod-gate' });
  });
  test('is read without any certificate', async () => {
    expect(await connect({ authtype: 'noauth' }).read(getKojiVersion())).toBe('1.35.3');
  });
  test('does not know every name that is signed', async () => {
    await expect(whoAmI({ cert: ours.issue('stranger') })).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/^login: could not verify client: stranger/),
    });
  });
  test('does not take a certificate of another authority', async () => {
    await expect(whoAmI({ cert: theirs.issue('kmod-gate') })).rejects.toMatchObject({
      message: expect.stringContaining('the hub does not take the client certificate; see cert'),
    });
  });
  test('is logged in to with a certificate that was renewed in the meantime', async () => {
    const cert = ours.issue('kmod-gate');
    await whoAmI({ cert });
    renameSync(ours.issue('release-manager'), cert);
    world.expireSessions();
    expect(await hub?.write(getLoggedInUser())).toMatchObject({ name: 'release-manager' });
  });
  test('is not logged in to with a certificate that has ended in the meantime', async () => {
    const cert = ours.issue('kmod-gate');
    await whoAmI({ cert });
    renameSync(ours.issue('kmod-gate-of-old', -1), cert);
    world.expireSessions();
    await expect(hub?.write(getLoggedInUser())).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/^login: .*: the certificate of CN=kmod-gate-of-old expired on/),
    });
  });
  test('that nobody here trusts is spoken to with no_ssl_verify', async () => {
    const settings = { cert: ours.issue('kmod-gate'), serverca: theirs.ca, no_ssl_verify: true };
    expect(await whoAmI(settings)).toMatchObject({ name: 'kmod-gate' });
  });
  test('that nobody here trusts is not spoken to', async () => {
    await expect(whoAmI({ cert: ours.issue('kmod-gate'), serverca: theirs.ca })).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('name its authority with serverca'),
    });
  });

  test('that speaks TLS 1.3 alone is read, and the login says that it must allow TLS 1.2', async () => {
    const modern = await startHttpd(server.url, ours, 'certificate', '+TLSv1.3');
    try {
      const there = connect({ server: modern.url, cert: ours.issue('kmod-gate') });
      expect(await there.read(getKojiVersion())).toBe('1.35.3');
      await expect(there.write(getLoggedInUser())).rejects.toMatchObject({
        kind: 'unavailable',
        message: expect.stringMatching(
          /^login: .*protocol version.*: the hub must allow TLS 1\.2 at \/ssllogin \(SSLProtocol of httpd\), since .* or log in by Kerberos$/,
        ),
      });
      await there.close();
    } finally {
      await modern.stop();
    }
  });
  test('whose authority is named by a file that holds none is not spoken to, and the file is named', async () => {
    const empty = join(ours.ca, '..', 'empty.crt');
    writeFileSync(empty, 'no certificate\n');
    expect(() => connect({ authtype: 'noauth', serverca: empty })).toThrow(
      /empty\.crt: holds no certificate in PEM; name one with serverca in \[koji\]$/,
    );
  });

  describe('a certificate that cannot work is told before any call', () => {
    test.each<[string, () => Partial<HubOptions>, RegExp]>([
      ['missing', () => ({ cert: '/no/such.pem' }), /^cert in \[koji\] cannot be read: ENOENT/],
      [
        'no certificate',
        () => ({ cert: ours.issue('x').replace('.pem', '.key') }),
        /x\.key: holds no certificate in PEM/,
      ],
      [
        'without its key',
        () => ({ cert: ours.issue('x').replace('.pem', '.crt') }),
        /x\.crt: certificate and key do not make a pair/,
      ],
      [
        "with somebody else's key",
        () => ({ cert: ours.issue('x'), key: ours.issue('y').replace('.pem', '.key') }),
        /x\.pem and .*y\.key: certificate and key do not make a pair/,
      ],
      [
        'expired',
        () => ({ cert: ours.issue('late', -1) }),
        /late\.pem: the certificate of CN=late expired on .*; get a new one/,
      ],
      [
        'an authority that is not there',
        () => ({ cert: ours.issue('x'), serverca: '/no/ca.crt' }),
        /^serverca in \[koji\] cannot be read/,
      ],
    ])('%s', (_, files, expected) => {
      expect(() => connect(files())).toThrow(expected);
    });
    test('garbage', () => {
      const garbage = join(ours.ca, '..', 'garbage.pem');
      writeFileSync(garbage, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
      expect(() => connect({ cert: garbage })).toThrow(/garbage\.pem: holds no certificate in PEM/);
    });
  });
});
