/** Reads that several ask for at the same time go to the hub in one request. */
import type { Answer, Call, Hub } from './hub.ts';

interface Asked {
  readonly calls: readonly Call<unknown>[];
  readonly resolve: (answers: Answer<unknown>[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A `readAll` that waits until all that is under way now has asked, sends that together, and each call that is the same
 * only once. Nobody gets an answer that is older than their question. Where the hub does not answer at all, nobody has
 * an answer, so it is for reads that are small and alike.
 */
export function shareReads(hub: Pick<Hub, 'readAll'>): Hub['readAll'] {
  let waiting: Asked[] = [];

  async function send(): Promise<void> {
    const group = waiting;
    waiting = [];
    const calls: Call<unknown>[] = [];
    const places = new Map<string, number>();
    const placeOf = (call: Call<unknown>): number => {
      const key = `${call.method} ${JSON.stringify(call.params)}`;
      const known = places.get(key);
      if (known !== undefined && calls[known]?.reply === call.reply) return known;
      places.set(key, calls.length);
      return calls.push(call) - 1;
    };
    const wanted = group.map((one) => one.calls.map(placeOf));
    try {
      const answers: readonly Answer<unknown>[] = await hub.readAll(calls);
      for (const [i, { resolve }] of group.entries())
        resolve((wanted[i] ?? []).flatMap((place) => answers[place] ?? []));
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  const readAll = (calls: readonly Call<unknown>[]): Promise<Answer<unknown>[]> =>
    new Promise((resolve, reject) => {
      if (calls.length === 0) return resolve([]);
      waiting.push({ calls, resolve, reject });
      if (waiting.length === 1) setImmediate(send);
    });
  return readAll as Hub['readAll'];
}
