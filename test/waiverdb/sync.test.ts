/** A store and a WaiverDB brought together, over HTTP. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { connectWaiverDb, type WaiverDb, WaiverDbError } from '../../src/waiverdb/client.ts';
import { type Sync, syncWaivers } from '../../src/waiverdb/sync.ts';
import { type FakeWaiverDb, serveFake } from './fake.ts';

const DAY = 86_400_000;
const KERNEL = 'kernel-6.1.187-53.el9';

let clock: number;
let store: Store;
let fake: FakeWaiverDb;
let db: WaiverDb;

beforeEach(async () => {
  clock = Date.parse('2026-12-01T00:00Z');
  store = await openStore('sqlite::memory:', { mode: 'write' });
  fake = await serveFake(() => clock);
  db = connectWaiverDb({ url: fake.url, timeout: 5_000, token: () => 'gate-token' });
});
afterEach(async () => {
  await store.close();
  await fake.close();
});

const syncing = (
  more: Partial<Omit<Sync, 'settings'>> & { settings?: Partial<Sync['settings']> } = {},
): Sync => ({
  ...{ store, db, gates: [{ name: 'c9s', kernels: ['kernel'] }], longest: () => 90 * DAY },
  ...{ now: () => clock, calendar: () => clock, settle: 60_000, ...more },
  settings: {
    ...{ url: fake.url, productVersion: 'el-9', testcase: 'kmod-gate.GATE', write: false, proxy: false },
    ...more.settings,
  },
});
const sync = (more?: Parameters<typeof syncing>[0]): Promise<string[]> => syncWaivers(syncing(more));
const WRITING = { settings: { write: true } };
const waivers = async () => (await store.waivers()).toReversed();
const ends = async () => (await waivers()).map(({ ended }) => ended?.by ?? null);
const waive = (more: Partial<Parameters<Store['waive']>[0]> = {}) =>
  store.waive(
    {
      ...{ at: clock, by: 'grace', reason: 'its vendor knows', gate: null, kernel: KERNEL, kmod: 'kmod-a' },
      ...{ until: clock + DAY, ...more },
    },
    [],
  );

describe('reading', () => {
  test('a waiver there is one here, once, with its author and for as long as one may hold', async () => {
    clock += 1;
    fake.give({ subject_identifier: KERNEL, scenario: 'kmod-a', comment: ' its vendor\nknows ' });
    fake.give({ subject_identifier: KERNEL, username: 'bob', proxied_by: 'bodhi', comment: null });
    clock += DAY;
    for (let i = 0; i < 3; i++) expect(await sync()).toEqual([]);
    expect(await waivers()).toMatchObject([
      {
        ...{
          by: 'ada',
          reason: 'its vendor knows (WaiverDB 1)',
          gate: 'c9s',
          kernel: KERNEL,
          kmod: 'kmod-a',
        },
        ...{ at: clock, until: clock - DAY + 90 * DAY },
      },
      { by: 'bob (by bodhi)', reason: 'no reason is given (WaiverDB 2)', kmod: '*' },
    ]);
    expect(await ends()).toEqual([null, null]);
  });

  test('where waivers may have no end, it has none; one that is too old is none', async () => {
    fake.give({ subject_identifier: KERNEL });
    clock += 91 * DAY;
    await sync();
    expect(await waivers()).toEqual([]);
    await sync({ longest: () => null });
    expect(await waivers()).toMatchObject([{ until: null }]);
  });

  test('only of kernels that the gate gates', async () => {
    fake.give({ subject_identifier: 'kernel-rt-6.1-1.el9' });
    fake.give({ subject_identifier: 'glibc-2.1-1.el9' });
    await sync();
    expect(await waivers()).toEqual([]);
  });

  test('each gate has its testcase', async () => {
    const gates = ['c9s', 'c9s-rt'].map((name) => ({ name, kernels: ['kernel'] }));
    fake.give({ subject_identifier: KERNEL, testcase: 'kabi.c9s-rt' });
    await sync({ gates, settings: { testcase: 'kabi.GATE' } });
    expect(await waivers()).toMatchObject([{ gate: 'c9s-rt' }]);
  });

  test('pages are read to the end', async () => {
    for (let i = 1; i <= 250; i++) fake.give({ subject_identifier: `kernel-6.${i}-1` });
    await sync();
    expect(await waivers()).toHaveLength(250);
    expect(fake.requests).toHaveLength(3);
    expect(fake.requests[0]).toContain('include_obsolete=true');
  });

  test('what comes while pages are read makes none pass over', async () => {
    for (let i = 1; i <= 150; i++) fake.give({ subject_identifier: `kernel-6.${i}-1` });
    const known: typeof fake.garble = fake.garble;
    let first = true;
    fake.garble = (record) => {
      if (first) for (let i = 0; i < 7; i++) fake.give({ subject_identifier: 'kernel-7-1' });
      first = false;
      return known(record);
    };
    expect(await sync()).toEqual([]);
    expect(new Set((await waivers()).map(({ kernel }) => kernel)).size).toBeGreaterThanOrEqual(150);
  });

  test('one that is taken back there, or made obsolete, ends here', async () => {
    fake.give({ subject_identifier: KERNEL, scenario: 'kmod-a' });
    fake.give({ subject_identifier: KERNEL, scenario: 'kmod-b' });
    await sync();
    fake.give({ subject_identifier: KERNEL, scenario: 'kmod-a', waived: false, username: 'grace' });
    fake.give({ subject_identifier: KERNEL, scenario: 'kmod-b', username: 'bob' });
    await sync();
    expect(await ends()).toEqual(['grace in WaiverDB', 'bob in WaiverDB', null]);
    await sync();
    expect(await waivers()).toHaveLength(3);
  });

  test('one that is deleted there ends here', async () => {
    fake.give({ subject_identifier: KERNEL });
    await sync();
    fake.records.length = 0;
    await sync();
    expect(await ends()).toEqual(['WaiverDB, which has it no more,']);
  });

  test('one that a person has ended here does not come back', async () => {
    fake.give({ subject_identifier: KERNEL });
    await sync();
    const [waiver] = await waivers();
    if (waiver) await store.endWaiver(waiver, 'grace', clock, []);
    await sync();
    expect(await ends()).toEqual(['grace']);
  });

  test.each<[string, () => void, RegExp]>([
    [
      'a proxy that answers',
      () => (fake.fault = () => 'down'),
      /^gate c9s: HTTP 502; what is known of it counts as before$/,
    ],
    ['a page that is no JSON', () => (fake.fault = () => 'page'), /does not answer in JSON/],
    ['a record of nobody knows what', () => (fake.garble = () => ({ id: 'x' })), /a record without a number/],
    ['a page without records', () => (fake.garble = () => undefined), /a record without a number/],
  ])('%s neither gives nor ends a waiver, and is told', async (_, spoil, told) => {
    fake.give({ subject_identifier: KERNEL });
    await sync();
    fake.give({ subject_identifier: 'kernel-7-1' });
    spoil();
    const problems = await sync();
    expect(problems).toEqual([expect.stringMatching(told)]);
    expect(await ends()).toEqual([null]);
  });

  test('a WaiverDB that is away is told', async () => {
    await fake.close();
    expect(await sync()).toEqual([
      expect.stringMatching(/^gate c9s: does not answer: .*; what is known of it/),
    ]);
  });

  test('a record that cannot be read gives nothing, and ends what it may take back', async () => {
    fake.give({ subject_identifier: KERNEL });
    fake.give({ subject_identifier: 'kernel-7-1' });
    await sync();
    fake.give({ subject_identifier: KERNEL });
    fake.garble = (record) => (record.id === 3 ? { ...record, waived: 'nobody knows' } : record);
    expect(await sync()).toEqual([
      expect.stringMatching(/^gate c9s: record 3 of kernel-6\.1\.187-53\.el9: waived: /),
    ]);
    expect(await ends()).toEqual(['record 3, which cannot be read in WaiverDB', null]);
  });
});

describe('writing', () => {
  test('only where it is configured', async () => {
    await waive();
    await sync();
    expect(fake.records).toEqual([]);
  });

  test('a waiver that is given here is given there, once, and is not read as another one', async () => {
    await waive();
    for (let i = 0; i < 3; i++) {
      expect(await sync(WRITING)).toEqual([]);
      clock += 120_000;
    }
    expect(fake.records).toMatchObject([
      {
        ...{ subject_type: 'koji_build', subject_identifier: KERNEL, testcase: 'kmod-gate.c9s' },
        ...{ product_version: 'el-9', scenario: 'kmod-a', waived: true, username: 'kmod-gate' },
        comment: `its vendor knows (grace) [kmod-gate ${store.installation} 1 given]`,
      },
    ]);
    expect(await waivers()).toHaveLength(1);
  });

  test('in the name of who gives it; of all kmods it has no scenario', async () => {
    await waive({ kmod: '*' });
    await sync({ settings: { write: true, proxy: true } });
    expect(fake.records).toMatchObject([{ username: 'grace', proxied_by: 'kmod-gate', scenario: null }]);
  });

  test('not what names no build, no kmod, another gate, another package, or is over', async () => {
    await waive({ kernel: 'kernel-6.*' });
    await waive({ kernel: 'next' });
    await waive({ kmod: 'kmod-*' });
    await waive({ gate: 'c8s' });
    await waive({ kernel: 'glibc-1-1' });
    await waive({ until: clock });
    expect(await sync(WRITING)).toEqual([]);
    expect(fake.records).toEqual([]);
  });

  test('not what was read there', async () => {
    fake.give({ subject_identifier: KERNEL });
    await sync(WRITING);
    await sync(WRITING);
    expect(fake.records).toHaveLength(1);
  });

  test.each(['ended', 'expired'])('what is %s here is taken back there, once', async (how) => {
    await waive();
    await sync(WRITING);
    const [waiver] = await waivers();
    if (how === 'expired') clock += 2 * DAY;
    else if (waiver) await store.endWaiver(waiver, 'grace', clock, []);
    fake.give({ subject_identifier: KERNEL, scenario: 'kmod-a', username: 'bob' });
    for (let i = 0; i < 3; i++) expect(await sync(WRITING)).toEqual([]);
    expect(fake.records.map(({ waived, username }) => [waived, username])).toEqual([
      [true, 'kmod-gate'],
      [true, 'bob'],
      [false, 'kmod-gate'],
    ]);
    // What others gave there is not taken back by that.
    expect((await waivers()).at(-1)).toMatchObject({ by: 'bob' });
    expect((await ends()).at(-1)).toBeNull();
  });

  test('what was given here and somebody takes back there ends here', async () => {
    await waive();
    await sync(WRITING);
    const copied = fake.records[0]?.comment ?? '';
    fake.give({
      subject_identifier: KERNEL,
      scenario: 'kmod-a',
      waived: false,
      username: 'bob',
      comment: copied,
    });
    for (let i = 0; i < 2; i++) await sync(WRITING);
    expect(await ends()).toEqual(['bob in WaiverDB']);
    expect(fake.records).toHaveLength(2);
  });

  test('a reply that is lost: it is found there, and not sent again', async () => {
    await waive();
    fake.fault = (method) => (method === 'POST' ? 'lost' : 'none');
    expect(await sync(WRITING)).toEqual([
      expect.stringMatching(/^gate c9s: waiver 1 is not written there: /),
    ]);
    fake.fault = () => 'none';
    for (let i = 0; i < 3; i++) {
      expect(await sync(WRITING)).toEqual([]);
      clock += 120_000;
    }
    expect(fake.records).toHaveLength(1);
    expect(await store.recordsThere()).toMatchObject([{ there: 1, waiver: 1, kind: 'given' }]);
  });

  test('a crash before the reply is recorded: the same', async () => {
    await waive();
    const dying: WaiverDb = {
      ...db,
      create: async (record) => {
        await db.create(record);
        throw new Error('killed');
      },
    };
    await expect(sync({ ...WRITING, db: dying })).rejects.toThrow('killed');
    expect(await sync(WRITING)).toEqual([]);
    expect(fake.records).toHaveLength(1);
    expect(await store.recordsThere()).toHaveLength(1);
  });

  test('after an outage it is sent, once it has not appeared for a while', async () => {
    await waive();
    fake.fault = (method) => (method === 'POST' ? 'down' : 'none');
    await sync(WRITING);
    fake.fault = () => 'none';
    await sync(WRITING);
    expect(fake.records).toEqual([]);
    clock += 60_000;
    await sync(WRITING);
    expect(fake.records).toHaveLength(1);
  });

  test('a refusal is told in the words of the WaiverDB', async () => {
    await waive();
    db = connectWaiverDb({ url: fake.url, token: () => 'wrong' });
    expect(await sync(WRITING)).toEqual([
      'gate c9s: waiver 1 is not written there: HTTP 401: Authentication failed',
    ]);
    db = connectWaiverDb({ url: fake.url, token: () => 'ada-token' });
    clock += 60_000;
    expect(await sync({ settings: { write: true, proxy: true } })).toEqual([
      'gate c9s: waiver 1 is not written there: HTTP 403: user ada does not have the proxyuser ability',
    ]);
  });

  test('nothing is sent before the list is read', async () => {
    await waive();
    fake.fault = (method) => (method === 'GET' ? 'down' : 'none');
    await sync(WRITING);
    expect(fake.records).toEqual([]);
  });
});

test('an error says whether what was asked may have been done', async () => {
  const record = {
    subject: KERNEL,
    testcase: 't',
    productVersion: 'p',
    scenario: null,
    waived: true,
    comment: 'c',
  };
  const may = (error: unknown) => error instanceof WaiverDbError && error.mayBeDone;
  fake.fault = () => 'lost';
  expect(await db.create(record).catch(may)).toBe(true);
  fake.fault = () => 'none';
  expect(await connectWaiverDb({ url: fake.url }).create(record).catch(may)).toBe(false);
});
