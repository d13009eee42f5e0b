/** What probes are told, and what the page says of a login. */
import { fastify } from 'fastify';
import { describe, expect, test } from 'vitest';
import { type Health, isAlive, isWorking } from '../../src/http/health.ts';
import { addProbes, unready } from '../../src/http/ready.ts';

const NOW = 1_800_000_000_000;
const FINE: Health = {
  started_at: NOW - 3_600_000,
  looked_at: NOW - 5_000,
  trouble: null,
  login: { state: 'works', since: NOW - 3_590_000 },
  bus: null,
};
const LOCKED: Health = {
  ...FINE,
  login: { state: 'fails', since: NOW - 90_000, reason: 'login: wrong password' },
};

describe('a gate', () => {
  test.each<[string, Partial<Health>, string[]]>([
    ['that looks and is logged in is ready', {}, []],
    [
      'without its bus is ready, since sweeps find all',
      { bus: { connected: false, since: NOW - 9e6, received: 0, undecodable: 0, lastError: 'gone' } },
      [],
    ],
    ['that has not looked yet is not', { looked_at: null }, ['the first look at the hub has not ended yet']],
    [
      'whose looks no longer end is not',
      { looked_at: NOW - 660_000 },
      ['no look at the hub has ended for 11 min'],
    ],
    [
      'whose hub is silent is not',
      { trouble: { since: NOW - 60_000, reason: 'getTag: timeout' } },
      ['the hub does not answer since 1 min: getTag: timeout'],
    ],
    [
      'that has not tried its login yet is not',
      { login: { state: 'waiting', since: NOW } },
      ['no login at the hub was tried yet'],
    ],
    [
      'whose login fails is not',
      LOCKED,
      ['cannot log in at the hub since 1 min, nothing can be built or tagged: login: wrong password'],
    ],
  ])('%s', (_, change, reasons) => {
    expect(unready({ ...FINE, ...change }, NOW)).toEqual(reasons);
  });

  test('that wants no login is ready', () => {
    const { login: _, ...anonymous } = FINE;
    expect(unready(anonymous, NOW)).toEqual([]);
  });

  test('is alive with a silent hub and no login, as a new start would not help; not where looks hang', () => {
    const silent = { since: NOW - 9e6, reason: 'getTag: timeout' };
    expect(isAlive({ ...LOCKED, trouble: silent }, NOW)).toBe(true);
    expect(isAlive({ ...FINE, looked_at: NOW - 600_001 }, NOW)).toBe(false);
    expect(isAlive({ ...FINE, looked_at: null, started_at: NOW - 600_000 }, NOW)).toBe(true);
    expect(isAlive({ ...FINE, looked_at: null, started_at: NOW - 600_001 }, NOW)).toBe(false);
  });
});

test('a gate that sweeps once an hour is alive between two sweeps, and hangs after a third', () => {
  const hourly = (ago: number): Health => ({ ...FINE, look_every: 3_600_000, looked_at: NOW - ago });
  for (const [ago, alive] of [
    [3_500_000, true],
    [7_200_000, true],
    [7_200_001, false],
  ] as const) {
    expect(isAlive(hourly(ago), NOW)).toBe(alive);
    expect(isWorking(hourly(ago), NOW)).toBe(alive);
    expect(unready(hourly(ago), NOW)).toHaveLength(alive ? 0 : 1);
  }
  // One that sweeps each minute is not given up any sooner.
  expect(isAlive({ ...FINE, look_every: 60_000, looked_at: NOW - 590_000 }, NOW)).toBe(true);
});

test('probes that are told to be brief say yes or no alone', async () => {
  const app = fastify();
  const locked = { ...LOCKED, looked_at: Date.now() };
  addProbes(app, () => locked, { headers: { 'x-mine': 'yes' }, brief: true });
  const ready = await app.inject('/readyz');
  expect(ready.statusCode).toBe(503);
  expect(ready.headers['x-mine']).toBe('yes');
  expect(ready.json()).toEqual({ ok: false });
  expect((await app.inject('/healthz')).json()).toEqual({ ok: true });
  await app.close();
});
