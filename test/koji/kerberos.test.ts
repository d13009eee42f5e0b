/** Login by Kerberos, through a real httpd with mod_auth_gssapi and a real KDC. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { getLoggedInUser } from '../../src/koji/calls.ts';
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
  kerberized,
  startHttpd,
  VERIFIED,
} from '../servers/httpd.ts';
import { type Kdc, startKdc } from '../servers/kdc.ts';

describe.skipIf(!kerberized())('a hub that wants a ticket', () => {
  const before = process.env['KRB5_CONFIG'];
  let authority: Authority;
  let kdc: Kdc;
  let world: World;
  let server: WorldServer;
  let front: Httpd;
  let hub: Hub | undefined;
  let keytab: string;
  /** Whether the hub's answer to who is logged in is lost. */
  let cut = false;

  beforeAll(async () => {
    authority = createAuthority();
    kdc = await startKdc();
    process.env['KRB5_CONFIG'] = kdc.krb5;
    world = createWorld(loadScenario(SMALL));
    const faults = (method: string) => (method === 'getLoggedInUser' && cut ? 'drop-after' : 'none');
    server = await serveWorld(world, { verifiedBy: VERIFIED, faults });
    const service = { keytab: kdc.keytab('HTTP/localhost'), krb5: kdc.krb5 };
    front = await startHttpd(server.url, authority, service);
    keytab = kdc.keytab('kmod-gate');
  });
  afterEach(async () => hub?.close());
  afterAll(async () => {
    if (before === undefined) delete process.env['KRB5_CONFIG'];
    else process.env['KRB5_CONFIG'] = before;
    await front.stop();
    await server.close();
    await kdc.stop();
    authority.remove();
  });

  const whoAmI = (options: Partial<HubOptions>) => {
    const settings = {
      server: front.url,
      authtype: 'kerberos',
      serverca: authority.ca,
      timeout: 5_000,
    } as const;
    hub = connectHub({ ...settings, ...options });
    return hub.write(getLoggedInUser());
  };

  test('takes one from a keytab, with no kinit', async () => {
    expect(await whoAmI({ keytab, principal: 'kmod-gate@KMODGATE.TEST' })).toMatchObject({
      name: 'kmod-gate',
    });
  });
  test('is sent nothing as long as it is not known whom it takes us for', async () => {
    const principal = 'kmod-gate@KMODGATE.TEST';
    cut = true;
    for (let i = 0; i < 2; i++)
      await expect(whoAmI({ keytab, principal })).rejects.toMatchObject({
        kind: 'unavailable',
        method: 'login',
      });
    const logins = server.requests.filter(({ method }) => method === 'sslLogin').length;
    await expect(hub?.write(getLoggedInUser())).rejects.toMatchObject({
      kind: 'unavailable',
      method: 'login',
    });
    expect(server.requests.filter(({ method }) => method === 'sslLogin')).toHaveLength(logins + 1);
    cut = false;
    expect(await hub?.write(getLoggedInUser())).toMatchObject({ name: 'kmod-gate' });
  });
  test('takes another one when the session has expired', async () => {
    await whoAmI({ keytab });
    world.expireSessions();
    expect(await hub?.write(getLoggedInUser())).toMatchObject({ name: 'kmod-gate' });
  });
  test('takes the principal that is meant out of a keytab of several', async () => {
    const several = kdc.keytab('another', 'kmod-gate-too');
    const principal = 'kmod-gate-too@KMODGATE.TEST';
    await expect(whoAmI({ keytab: several, principal })).rejects.toMatchObject({
      message: expect.stringMatching(/could not verify client: kmod-gate-too/),
    });
  });
  test('takes another ticket when the first one has ended', async () => {
    const short = kdc.keytab('release-manager');
    kdc.admin('modprinc -maxlife "2 seconds" release-manager');
    await whoAmI({ keytab: short });
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    world.expireSessions();
    expect(await hub?.write(getLoggedInUser())).toMatchObject({ name: 'release-manager' });
  });
  test('takes the tickets of the environment where no keytab is named', async () => {
    process.env['KRB5_CLIENT_KTNAME'] = keytab;
    process.env['KRB5CCNAME'] = 'MEMORY:of the environment';
    expect(await whoAmI({})).toMatchObject({ name: 'kmod-gate' });
  });
  test('a keytab that was left behind by a change of the key is told', async () => {
    const stale = kdc.keytab('stale');
    kdc.admin('cpw -randkey stale');
    await expect(whoAmI({ keytab: stale })).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(
        /^login: Kerberos, .*stale\.keytab: .*; the keytab is out of date; export it anew$/,
      ),
    });
  });
  test('a KDC that does not answer is not waited for longer than for a call', async () => {
    const settings = { keytab: kdc.keytab('kmod-gate-at-night') };
    kdc.pause();
    let waits = true;
    const patient = whoAmI({ ...settings, timeout: 60_000 })
      .catch(() => {})
      .finally(() => {
        waits = false;
      });
    const first = hub;
    await expect(whoAmI({ ...settings, timeout: 300 })).rejects.toMatchObject({
      kind: 'unavailable',
      message: 'login: no Kerberos ticket within 300 ms; see krb5.conf, and the network',
    });
    // Who has more time is at it still.
    expect(waits).toBe(true);
    kdc.resume();
    await patient;
    await first?.close();
  });
  test('a principal that is not in the keytab is told', async () => {
    await expect(whoAmI({ keytab, principal: 'release-manager@KMODGATE.TEST' })).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(
        /^login: Kerberos, release-manager@KMODGATE.TEST with .*kmod-gate\.keytab: .*; see keytab and principal$/,
      ),
    });
  });
});

describe.skipIf(!kerberized())('a keytab that cannot work', () => {
  test.each<[string, string | undefined]>([
    ['is missing', undefined],
    ['is none', 'garbage'],
  ])('%s: told with its name', async (_, content) => {
    const authority = createAuthority();
    const keytab = join(authority.ca, '..', 'gate.keytab');
    if (content) writeFileSync(keytab, content);
    // The library keeps what it has fetched in the process: another one has nothing yet.
    const { tokenInChild } = await import('./negotiate.ts');
    expect(await tokenInChild(keytab)).toMatch(/^unavailable: login: Kerberos, .*gate\.keytab: /);
    authority.remove();
  });
});
