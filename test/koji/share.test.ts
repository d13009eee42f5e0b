import { expect, test } from 'vitest';
import { getBuildTarget, getTaskInfo, listTags } from '../../src/koji/calls.ts';
import { type Answer, type Call, type Hub, HubError } from '../../src/koji/hub.ts';
import { shareReads } from '../../src/koji/share.ts';

/** A hub that answers each call with its method and arguments, and refuses what is about task 13. */
function hub() {
  const requests: (readonly Call<unknown>[])[] = [];
  const answer = ({ method, params }: Call<unknown>): Answer<unknown> =>
    params[0] === 13
      ? { ok: false, error: new HubError('refused', method, 'no') }
      : { ok: true, value: `${method} ${JSON.stringify(params)}` };
  const readAll = (async (calls: readonly Call<unknown>[]) => {
    requests.push(calls);
    return calls.map(answer);
  }) as Hub['readAll'];
  return { requests, readAll: shareReads({ readAll }) };
}

test('what is asked for at the same time goes in one request, and what is the same once', async () => {
  const { requests, readAll } = hub();
  const target = getBuildTarget('try');
  const answers = await Promise.all([
    readAll([listTags(1), target]),
    Promise.resolve().then(() => readAll([target, listTags(2)])),
    readAll([]),
  ]);
  expect(requests.map((calls) => calls.map(({ method }) => method))).toEqual([
    ['listTags', 'getBuildTarget', 'listTags'],
  ]);
  const values = answers.map((group) =>
    (group as Answer<unknown>[]).map((one) => (one.ok ? one.value : one.error)),
  );
  const [first, second] = requests[0]?.filter(({ method }) => method === 'listTags') ?? [];
  expect(values).toEqual([
    [`listTags ${JSON.stringify(first?.params)}`, 'getBuildTarget ["try",{"strict":true,"__starstar":true}]'],
    [
      'getBuildTarget ["try",{"strict":true,"__starstar":true}]',
      `listTags ${JSON.stringify(second?.params)}`,
    ],
    [],
  ]);
});

test('a question that comes later is asked anew', async () => {
  const { requests, readAll } = hub();
  await readAll([listTags(1)]);
  await readAll([listTags(1)]);
  expect(requests).toHaveLength(2);
});

test('a fault is that of its call alone', async () => {
  const { readAll } = hub();
  const [bad, good] = await Promise.all([readAll([getTaskInfo(13)]), readAll([getTaskInfo(14)])]);
  expect(bad[0].ok).toBe(false);
  expect(good[0].ok).toBe(true);
});

test('where the hub does not answer, everybody is told', async () => {
  const gone = new HubError('unavailable', 'multiCall', 'nobody there');
  const readAll = shareReads({ readAll: () => Promise.reject(gone) });
  const all = await Promise.allSettled([readAll([listTags(1)]), readAll([listTags(2)])]);
  expect(all.map((one) => one.status === 'rejected' && one.reason)).toEqual([gone, gone]);
});
