/** Persons, who do what they may, when they like. */
import type { Order } from '../../src/core/model.ts';
import { Fault } from '../../src/koji/xmlrpc.ts';
import type { Person, World } from '../../src/sim/world.ts';
import type { Store } from '../../src/store/store.ts';
import { PERSON } from './draw.ts';
import type { Random } from './random.ts';

const MINUTE = 60_000;

/** What they do, some of it more often. */
const KINDS = [
  ...(['tag', 'untag', 'cancel', 'cancel', 'waive', 'unwaive'] as const),
  ...(['order', 'order', 'order', 'side-tag', 'side-tag'] as const),
];

interface Act {
  readonly kind: string;
  readonly text: string;
  readonly build?: number;
  readonly tag?: string;
}

/**
 * Somebody does something, as somebody may. Undefined where there was nothing to do it to.
 * @param at the time that a command of theirs takes, in ms since the epoch
 */
export async function actAsPerson(
  random: Random,
  { world, store, at }: { readonly world: World; readonly store: Store; readonly at: number },
): Promise<Act | undefined> {
  const build = random.pick(world.state.builds.filter(({ name }) => name === 'kernel'));
  const tag = random.pick(['gate', 'pass', 'fail']);
  const person = world.as(PERSON);
  const attempt = (act: Act, work: () => unknown): Act | undefined => {
    try {
      work();
      return act;
    } catch (error) {
      if (error instanceof Fault) return undefined;
      throw error;
    }
  };
  switch (random.pick(KINDS)) {
    case 'tag':
      return attempt({ kind: 'tag', text: `tags ${build.nvr} into ${tag}`, build: build.id, tag }, () =>
        person.tagBuild(tag, build.id),
      );
    case 'untag':
      return attempt({ kind: 'untag', text: `untags ${build.nvr} from ${tag}`, build: build.id, tag }, () =>
        person.untagBuild(tag, build.id),
      );
    case 'cancel': {
      const live = [...world.state.live].filter(
        ({ method, parent }) => method === 'build' && parent === null,
      );
      if (live.length === 0) return undefined;
      const task = random.pick(live);
      return attempt({ kind: 'cancel', text: `cancels task ${task.id}` }, () =>
        person.call('cancelTask', task.id),
      );
    }
    case 'side-tag': {
      const own = world.state.tags.filter(
        ({ name, revoke_event }) => /-side-/.test(name) && revoke_event === null,
      );
      if (own.length === 0) return undefined;
      const one = random.pick(own);
      return attempt({ kind: 'side-tag', text: `removes ${one.name}` }, () =>
        person.call('removeSideTag', one.name),
      );
    }
    case 'waive': {
      const kernel = random.pick([build.nvr, 'kernel-*', 'next']);
      const kmod = random.pick(['kmod-a', 'kmod-*', 'stablelist']);
      const ahead = await store.ahead();
      const until = random.chance(0.5) ? at + ahead + random.int(1, 600) * MINUTE : null;
      await store.waive({ at, by: 'ada', reason: 'she knows', gate: null, kernel, kmod, until }, []);
      return { kind: 'waive', text: `waives ${kmod} for ${kernel}` };
    }
    case 'unwaive': {
      const waivers = (await store.waivers()).filter(({ ended }) => !ended);
      if (waivers.length === 0) return undefined;
      const waiver = random.pick(waivers);
      const live = (await store.liveRuns()).filter(({ waivers }) =>
        waivers.some(({ id }) => id === waiver.id),
      );
      await store.endWaiver(waiver, 'ada', at, live);
      return { kind: 'unwaive', text: `ends the waiver of ${waiver.kmod} for ${waiver.kernel}` };
    }
    case 'order': {
      const live = await store.liveRuns();
      if (live.length === 0) return undefined;
      const run = random.pick(live);
      const kind = random.pick([
        'retry',
        'retry',
        'hold',
        'release',
        'cancel',
      ] as const satisfies Order['kind'][]);
      const kmod = kind === 'retry' && random.chance(0.3) ? random.pick(['kmod-a', 'kmod-*']) : null;
      await store.order(run, { at, by: 'ada', kind, reason: 'she said so', kmod });
      return { kind: `order ${kind}`, text: `orders ${kind} of ${run.id}`, build: run.kernel.id };
    }
  }
}

/** A waiver for a kernel that ends so many ms later. */
export async function waiveFor(
  store: Store,
  {
    at,
    nvr,
    kmod,
    until,
  }: { readonly at: number; readonly nvr: string; readonly kmod: string; readonly until: number },
): Promise<void> {
  const said = {
    at,
    by: 'ada',
    reason: 'this once',
    gate: null,
    kernel: nvr,
    kmod,
    until: at + until + (await store.ahead()),
  };
  await store.waive(said, []);
}

/** A release takes all builds of a tag with it. */
export function shipAll(world: World, from: string, to: string): void {
  for (const { id } of world.state.builds)
    if (world.tags(id).includes(from)) moveOn(world.as(PERSON), world.tags(id), id, { from, to });
}

/** Out of one tag, and into another if it is not there yet. */
export function moveOn(
  who: Person,
  tags: readonly string[],
  build: number,
  { from, to }: { readonly from: string; readonly to: string },
): void {
  if (tags.includes(to)) who.untagBuild(from, build);
  else who.moveBuild(from, to, build);
}

/** Nobody holds a kernel for ever. */
export async function release(store: Store, at: number): Promise<void> {
  for (const run of await store.liveRuns()) {
    const last = run.orders.findLast(({ kind }) => kind === 'hold' || kind === 'release');
    if (last?.kind === 'hold')
      await store.order(run, { at, by: 'ada', kind: 'release', reason: '', kmod: null });
  }
}
