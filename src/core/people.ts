/** What persons say: waivers, holds, retries. */
import type { Intent, Order, Recorded, Run, Waiver } from './model.ts';
import { matcher } from './names.ts';

/** What a waiver names to speak of the gate's stablelist; no pattern of kmods does. */
export const STABLELIST = 'stablelist';

/** The newest waiver that speaks of a kmod, or of the `stablelist`, and still holds: nobody has ended it, nor is it over. */
export function waiverFor({ waivers }: Pick<Run, 'waivers'>, kmod: string, now: number): Waiver | undefined {
  return waivers.findLast(
    ({ kmod: pattern, ended, ends }) =>
      (kmod === STABLELIST ? pattern === kmod : matcher([pattern])(kmod)) &&
      !ended &&
      (ends === null || now < ends),
  );
}

/** A run with the waivers that there were at a fact, such as its verdict. */
export function asOf(run: Run, { fact }: Recorded): Run {
  const given = run.waivers.filter((waiver) => waiver.fact <= fact);
  const waivers = given.map(({ ended, ...waiver }) =>
    ended && ended.fact <= fact ? { ...waiver, ended } : waiver,
  );
  return { ...run, waivers };
}

/** The person's hold that nobody has released. */
export function holdOf({ orders }: Pick<Run, 'orders'>): Order | undefined {
  const last = orders.findLast(({ kind }) => kind === 'hold' || kind === 'release');
  return last?.kind === 'hold' ? last : undefined;
}

/** The last retry that a person asked for. */
export const lastRetry = ({ orders }: Pick<Run, 'orders'>): Order | undefined =>
  orders.findLast(({ kind }) => kind === 'retry');

/**
 * Whether a person's retry makes a verdict void: not once the run has changed tags, since nothing can be tried where the
 * kernel is then.
 * @param judged number of the verdict
 */
export function isVoid(judged: number, { orders, intents }: Pick<Run, 'orders' | 'intents'>): boolean {
  return orders.some(
    (order) =>
      order.kind === 'retry' &&
      order.fact > judged &&
      !hasChangedTags(intents.filter(({ fact }) => fact < order.fact)),
  );
}

/** Whether a run has changed tags of its kernel, or asked for it; side tags do not count. */
export function hasChangedTags(intents: readonly Intent[]): boolean {
  const sideTags = intents.flatMap(({ receipt }) => receipt?.sideTag ?? []);
  return intents.some(
    ({ write, ending }) =>
      (write.kind === 'tag' || write.kind === 'untag') &&
      !sideTags.includes(write.tag) &&
      ending?.how !== 'failed' &&
      ending?.how !== 'lost',
  );
}
