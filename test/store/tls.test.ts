/** The way to PostgreSQL: certificates, passwords, and a server that goes away and comes back. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openGateStore, openStore } from '../../src/store/open.ts';
import { KERNEL } from '../core/facts.ts';
import { type Authority, createAuthority } from '../servers/httpd.ts';
import { PASSWORD, type PostgresServer, postgresServer, startPostgres, USER } from '../servers/postgres.ts';

describe.runIf(postgresServer())('a PostgreSQL with TLS', () => {
  let authority: Authority;
  let stranger: Authority;
  let server: PostgresServer;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
    [authority, stranger] = [createAuthority(), createAuthority()];
    server = await startPostgres(authority);
  });
  afterAll(async () => {
    await server?.remove();
    authority?.remove();
    stranger?.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  const url = (query: string, login = `${USER}:${PASSWORD}`, host = 'localhost') =>
    `postgres://${login}@${host}:${server.port}/kmod_gate?${query}`;
  const full = () => `sslmode=verify-full&sslrootcert=${authority.ca}`;
  const opens = async (at: string, passwordFile?: string) =>
    (await openStore(at, { mode: 'write', ...(passwordFile !== undefined && { passwordFile }) })).close();

  test('is used where its certificate is right', async () => {
    await opens(url(full()));
    await opens(url('sslmode=require'));
    await opens(url(`sslmode=verify-ca&sslrootcert=${authority.ca}`, undefined, '127.0.0.2'));
  });

  test.each<[string, () => string, RegExp]>([
    [
      'somebody else has signed it',
      () => url(`sslmode=verify-full&sslrootcert=${stranger.ca}`),
      /cannot be used as a store \(.*(self-signed|unable to verify|signature).*see sslmode and sslrootcert in store\.url/,
    ],
    [
      'nobody known has signed it',
      () => url('sslmode=verify-full'),
      /cannot be used as a store \(.*(self-signed|unable to).*see sslmode and sslrootcert in store\.url/,
    ],
    [
      'it is for another name',
      () => url(full(), undefined, '127.0.0.2'),
      /does not match certificate's altnames.*see sslmode and sslrootcert in store\.url/,
    ],
    [
      'TLS is wanted, and not spoken',
      () => url('sslmode=disable'),
      /no encryption\): it does not let gate in/,
    ],
    [
      'the file of authorities is not there',
      () => url('sslmode=verify-full&sslrootcert=/no/ca'),
      /\/no\/ca cannot be read \(ENOENT\)/,
    ],
    ['the password is wrong', () => url(full(), `${USER}:wr0ng`), /it does not take the password of gate/],
  ])('is refused where %s', async (_, at, words) => {
    const refused = opens(at());
    await expect(refused).rejects.toThrow(words);
    await expect(refused).rejects.not.toThrow(/s3cret|wr0ng/);
  });

  test('takes the password from a file, as it is by then', async () => {
    const file = join(folder, 'password');
    writeFileSync(file, 'wr0ng\n');
    chmodSync(file, 0o600);
    await expect(opens(url(full(), USER), file)).rejects.toThrow(/does not take the password/);
    writeFileSync(file, `${PASSWORD}\n`);
    await opens(url(full(), USER), file);
    await expect(opens(url(full(), USER), join(folder, 'none'))).rejects.toThrow(
      /none cannot be read \(ENOENT\)/,
    );
  });

  test('that goes away is waited for: what was asked meanwhile fails, and then all goes on', async () => {
    const gate = await openGateStore(url(full()), {});
    const term = await gate.lease.next(new AbortController().signal);
    if (!term) throw new Error('no term');
    const acting = gate.inTerm(term);
    await acting.seeKernel(KERNEL, 1);
    await server.stop();
    await expect(acting.noteAhead(1, 2)).rejects.toThrow();
    await expect.poll(() => gate.lease.state?.().reason, { timeout: 60_000 }).toMatch(/./);
    await server.start();
    await expect.poll(() => gate.lease.state?.().reason, { timeout: 60_000 }).toBeUndefined();
    expect(gate.lease.state?.()).toMatchObject({ acts: true });
    expect(term.lost.aborted).toBe(false);
    await acting.noteAhead(1, 2);
    expect(await acting.kernel(KERNEL.id)).toMatchObject({ nvr: KERNEL.nvr });
    await gate.store.close();
  });
});
