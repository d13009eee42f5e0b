/** The fake behaves as WaiverDB is documented to. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeRecord, type FakeWaiverDb, serveFake } from './fake.ts';

let fake: FakeWaiverDb;
let clock = Date.parse('2026-12-01T00:00Z');
beforeEach(async () => {
  fake = await serveFake(() => (clock += 1_000));
});
afterEach(() => fake.close());

interface Page {
  readonly data: readonly FakeRecord[];
  readonly prev: string | null;
  readonly next: string | null;
}
const read = async <T>(response: Response): Promise<T> => (await response.json()) as T;
const get = async (query: string) => read<Page>(await fetch(`${fake.url}/waivers/?${query}`));
const post = (body: unknown, token?: string) =>
  fetch(`${fake.url}/waivers/`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
  });
const NEW = {
  ...{ subject_type: 'koji_build', subject_identifier: 'kernel-6.1-1.el9', testcase: 'kmod-gate.c9s' },
  ...{ product_version: 'el-9', comment: 'so' },
};

test('lists come in pages, the newest first, with links to the others', async () => {
  for (let i = 1; i <= 25; i++) fake.give({ subject_identifier: `kernel-${i}-1` });
  const first = await get('testcase=kmod-gate.c9s');
  expect(first.data.map(({ id }) => id)).toEqual([25, 24, 23, 22, 21, 20, 19, 18, 17, 16]);
  expect(first.prev).toBeNull();
  expect(first.next).toBe(`${fake.url}/waivers/?testcase=kmod-gate.c9s&page=2`);
  const last = await get('page=3');
  expect(last.data).toHaveLength(5);
  expect(last.next).toBeNull();
  expect(await get('page=4')).toEqual({ data: [], prev: null, next: null, first: null, last: null });
  expect((await get('testcase=another')).data).toEqual([]);
});

test('of one who says something else of the same, only the newest is told, unless all are asked for', async () => {
  fake.give({ subject_identifier: 'kernel-1-1' });
  fake.give({ subject_identifier: 'kernel-1-1', username: 'grace' });
  fake.give({ subject_identifier: 'kernel-1-1', waived: false });
  fake.give({ subject_identifier: 'kernel-1-1', scenario: 'kmod-a' });
  const ids = async (query: string) => (await get(query)).data.map(({ id }) => id);
  expect(await ids('')).toEqual([4, 3, 2]);
  expect(await ids('include_obsolete=true')).toEqual([4, 3, 2, 1]);
});

test('a record has the fields that WaiverDB answers with', async () => {
  const made = await read<FakeRecord>(await post({ ...NEW, scenario: 'kmod-a', waived: true }, 'ada-token'));
  expect(Object.keys(made).toSorted()).toEqual([
    ...['comment', 'id', 'product_version', 'proxied_by', 'scenario', 'subject', 'subject_identifier'],
    ...['subject_type', 'testcase', 'timestamp', 'username', 'waived'],
  ]);
  expect(made).toMatchObject({ username: 'ada', waived: true, scenario: 'kmod-a', proxied_by: null });
  expect(made.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/);
});

test('who writes must be known, say why, and be let speak for others', async () => {
  expect((await post(NEW)).status).toBe(401);
  const { comment: _, ...silent } = NEW;
  const refused = await post(silent, 'ada-token');
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({ validation_error: [{ loc: ['comment'] }] });
  expect((await post({ ...NEW, username: 'grace' }, 'ada-token')).status).toBe(403);
  const proxied = await (await post({ ...NEW, username: 'grace' }, 'gate-token')).json();
  expect(proxied).toMatchObject({ username: 'grace', proxied_by: 'kmod-gate' });
  expect(fake.records).toHaveLength(1);
});
