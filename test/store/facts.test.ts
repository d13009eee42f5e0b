/** What a store takes in and tells, on each database. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { countRetries } from '../../src/core/judge.ts';
import type { Run, Write } from '../../src/core/model.ts';
import { hubUrl, openStore, withStore } from '../../src/store/open.ts';
import { BUILDS, KERNEL, kmod } from '../core/facts.ts';
import { BEGUN, BRIEF, BUILD, begin, SHOWN } from './begun.ts';
import { kinds, type Place } from './places.ts';

describe.each(await kinds())('$name', ({ make }) => {
  let place: Place;
  let url: string;
  beforeEach(async () => {
    place = await make();
    url = place.url;
  });
  afterEach(() => place.drop());

  describe('facts', () => {
    test('a kernel that two gates see at once is told once, and so is its new name', async () => {
      const store = await openStore(url, { mode: 'write' });
      const draft = { ...KERNEL, nvr: `${KERNEL.nvr},draft_1`, release: `${KERNEL.release},draft_1` };
      for (const kernel of [draft, KERNEL])
        await Promise.all([store.seeKernel(kernel, 900), store.seeKernel(kernel, 900)]);
      expect((await store.journal(KERNEL.id)).map(({ text }) => text)).toEqual([
        `${draft.nvr} is complete`,
        `${draft.nvr} is ${KERNEL.nvr} now`,
      ]);
      await store.close();
    });
    test('a try on an architecture that was not tried before is no retry', async () => {
      const store = await openStore(url, { mode: 'write' });
      const run = await begin(store);
      const on = (...arches: string[]): Write => ({ ...BUILD, source: kmod('kmod-a').source, arches });
      const ask = async (...writes: Write[]) => {
        await store.intend((await store.run(run.id)) as Run, writes, 2_000);
        return [await store.retriesSince('c9s', 1_000), countRetries((await store.run(run.id)) as Run)];
      };
      expect(await ask(on('x86_64'))).toEqual([0, 0]);
      expect(await ask(on('aarch64'))).toEqual([0, 0]);
      expect(await ask(on('x86_64', 's390x'))).toEqual([1, 1]);
      expect(await ask({ ...BUILD, source: kmod('kmod-a').source })).toEqual([2, 2]);
      expect(await ask({ ...on('x86_64'), against: { id: 9, nvr: 'kernel-1-1' } } as Write)).toEqual([2, 2]);
      await store.close();
    });
    test('of a whole run come back as they were told, also after the store was opened anew', async () => {
      const first = await openStore(url, { mode: 'write' });
      const run = await begin(first);
      expect(run).toEqual({
        ...BEGUN,
        fact: 2,
        chosen: { at: 1_000, fact: 2 },
        baselineRepos: {},
        past: [],
        intents: [],
        waivers: [],
        orders: [],
      });
      const [intent] = await first.intend(run, [BUILD], 1_100);
      if (!intent) throw new Error('no intent');
      expect(intent.id).toBe('c9s/30/1/kmod-a/1');
      await first.receive(run, intent, { at: 1_200, task: 99 });
      await first.end(run, intent, { at: 1_300, how: 'done', build: BUILDS });
      await first.judge(run, { verdict: 'promote', reasons: ['1 of 1 kmod builds'] }, [], 1_400);
      await first.closeRun(run, { at: 1_500, how: 'done', why: 'moved' });
      await first.close();

      const again = await openStore(url, { mode: 'write' });
      expect(again.installation).toBe(first.installation);
      expect(await again.run(run.id)).toEqual({
        ...BEGUN,
        fact: 2,
        chosen: { at: 1_000, fact: 2 },
        baselineRepos: {},
        past: [],
        waivers: [],
        orders: [],
        intents: [
          {
            ...intent,
            receipt: { at: 1_200, task: 99 },
            ending: { at: 1_300, fact: 5, how: 'done', build: BUILDS },
          },
        ],
        verdict: { at: 1_400, fact: 6, verdict: 'promote', reasons: ['1 of 1 kmod builds'] },
        closing: { at: 1_500, how: 'done', why: 'moved' },
      });
      expect(await again.ownerOfTask(99)).toEqual({ gate: 'c9s', build: KERNEL.id, run: BEGUN.id });
      expect((await again.journal(KERNEL.id)).map(({ kind }) => kind)).toEqual([
        'kernel',
        'run',
        'asked',
        'answered',
        'ended',
        'verdict',
        'closed',
      ]);
      await again.close();
    });

    test('an intent is recorded once: the second of two writers fails, and nothing of it stays', async () => {
      const store = await openStore(url, { mode: 'write' });
      const run = await begin(store);
      await store.intend(run, [BUILD], 1);
      await expect(store.intend(run, [{ kind: 'untag', tag: 'x' }, BUILD], 2)).rejects.toThrow(/unique/i);
      expect((await store.run(run.id))?.intents).toHaveLength(1);
      expect((await store.journal(KERNEL.id)).filter(({ kind }) => kind === 'asked')).toHaveLength(1);
      await store.close();
    });

    test('a closed run is no longer live, and what was said twice stands once', async () => {
      const store = await openStore(url, { mode: 'write' });
      const run = await begin(store);
      expect((await store.liveRuns('c9s')).map(({ id }) => id)).toEqual([run.id]);
      expect(await store.liveKernels()).toEqual([{ id: run.id, gate: 'c9s', kernel: KERNEL }]);
      expect(await store.liveRuns('other')).toEqual([]);
      await store.say('c9s', KERNEL, run.id, 'waits', 1);
      await store.say('c9s', KERNEL, run.id, 'waits', 2);
      expect((await store.journal(KERNEL.id)).filter(({ kind }) => kind === 'state')).toHaveLength(1);
      await store.closeRun(run, { at: 3, how: 'taken-over', why: 'x' });
      expect(await store.liveRuns()).toEqual([]);
      await store.close();
    });

    test('are told to the listener once they are on disk, and not when they could not be written', async () => {
      const told: string[] = [];
      const store = await openStore(url, { mode: 'write', onEntry: ({ kind }) => told.push(kind) });
      const run = await begin(store);
      await store.intend(run, [BUILD], 1);
      await store.intend(run, [BUILD], 1).catch(() => {});
      expect(told).toEqual(['kernel', 'run', 'asked']);
      await store.close();
    });
  });

  describe('what symbols show', () => {
    test('is in a run with the first few of them, and apart from it with all', async () => {
      const store = await openStore(url, { mode: 'write' });
      const run = await begin(store);
      expect(await store.symbolDetail(run)).toEqual([]);
      await store.showSymbols(run, { ...SHOWN, kmods: [] }, 1_100);
      await store.showSymbols(run, SHOWN, 1_200);
      const shown = (await store.run(run.id)) as Run;
      expect(shown.symbols).toEqual(BRIEF);
      expect(await store.symbolDetail(shown)).toEqual(SHOWN.kmods);
      await store.close();
    });
    test('of an earlier choice of kmods does not count', async () => {
      const store = await openStore(url, { mode: 'write' });
      const run = await begin(store);
      await store.showSymbols(run, SHOWN, 1_100);
      await store.select(run, [kmod('kmod-b')], 1_200);
      const chosen = (await store.run(run.id)) as Run;
      expect(chosen.symbols).toBeUndefined();
      expect(await store.symbolDetail(chosen)).toEqual([]);
      await store.close();
    });
  });

  describe('what the bus brought', () => {
    const heard = { queue: 'kmod-gate', at: 5, routingKey: 'koji.build.tag', understood: true };
    test('is kept as the newest message of each queue', async () => {
      const store = await openStore(url, { mode: 'write' });
      expect(await store.lastHeard('kmod-gate')).toBeUndefined();
      await store.hear(heard);
      await store.hear({ ...heard, at: 6, routingKey: 'koji.repo.done', understood: false });
      await store.hear({ ...heard, queue: 'other' });
      await store.close();
      const reader = await openStore(url, { mode: 'read' });
      expect(await reader.lastHeard('kmod-gate')).toEqual({
        queue: 'kmod-gate',
        at: 6,
        routingKey: 'koji.repo.done',
        understood: false,
      });
      expect(await reader.lastHeard('other')).toMatchObject({ at: 5 });
      await reader.close();
    });
  });

  describe('the hub of a store', () => {
    const HUB = 'https://koji.example.org/kojihub';
    const OTHER_HUB = 'https://koji2.example.org/kojihub';
    const refusal =
      /a store of the hub https:\/\/koji\.example\.org\/kojihub, and the configuration names https:\/\/koji2\.example\.org\/kojihub; use another store\.url, or, where the hub itself moved, start once "kmod-gate run --moved-from https:\/\/koji\.example\.org\/kojihub"$/;
    const run = async (hub: string, movedFrom?: string) =>
      (await openStore(url, { mode: 'write', hub, ...(movedFrom !== undefined && { movedFrom }) })).close();
    const hubNow = () => withStore(url, 'read', async ({ hub }) => hub);

    test('is the one that a gate first ran with; another one is refused to gates and to persons', async () => {
      await run(HUB);
      expect(await hubNow()).toBe(HUB);
      await expect(run(OTHER_HUB)).rejects.toThrow(refusal);
      await expect(withStore(url, 'append', async () => {}, OTHER_HUB)).rejects.toThrow(refusal);
      await withStore(url, 'append', async () => {}, HUB);
      await run(HUB);
      expect(await hubNow()).toBe(HUB);
    });
    test('may move, by its old URL alone', async () => {
      await run(HUB);
      await expect(run(OTHER_HUB, 'https://koji3.example.org/kojihub')).rejects.toThrow(refusal);
      await run(OTHER_HUB, 'https://KOJI.example.org:443/kojihub/');
      expect(await hubNow()).toBe(OTHER_HUB);
      // Who leaves the option in place does no harm.
      await run(OTHER_HUB, HUB);
      await expect(run(HUB)).rejects.toThrow(/a store of the hub https:\/\/koji2/);
    });
    test('is written without a login, and compared as URLs are', async () => {
      await run('HTTPS://user:secret@KOJI.example.org:443/kojihub/');
      expect(await hubNow()).toBe(HUB);
      await run(HUB);
      expect(JSON.stringify(await place.ask('SELECT * FROM hub'))).not.toMatch(/secret/);
      expect(hubUrl('http://koji:8080/kojihub')).not.toBe(hubUrl('http://koji/kojihub'));
      expect(hubUrl('http://koji/KojiHub')).not.toBe(hubUrl('http://koji/kojihub'));
      expect(hubUrl('http://koji/')).toBe(hubUrl('http://koji'));
    });
  });
});
