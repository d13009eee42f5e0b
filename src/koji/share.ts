/** Reads that several ask for at the same time go to the hub in one request. */
import type { Answer, Call, Hub } from './hub.ts';

interface Asked {
  readonly calls: readonly Call<unknown>[];
  readonly resolve: (answers: Answer<unknown>[]) => void;
  readonly reject: (error: unknown) => void;
}

/** How long a shared request is waited for, in ms. */
const PATIENCE = 5_000;

/**
 * A `readAll` that waits until all that is under way now has asked, sends that together, and each call that is the same
 * only once. Nobody gets an answer that is older than their question. Where one call takes the hub long, the others do not
 * wait for it: then each asks for their own. Where the hub does not answer at all, nobody has an answer.
 * @param patience after so many ms each asks for their own
 */
export function shareReads(hub: Pick<Hub, 'readAll'>, patience = PATIENCE): Hub['readAll'] {
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
    const alone = () => {
      for (const { calls, resolve, reject } of group) hub.readAll(calls).then(resolve, reject);
    };
    const late = group.length > 1 ? setTimeout(alone, patience) : undefined;
    try {
      const answers: readonly Answer<unknown>[] = await hub.readAll(calls);
      for (const [i, { resolve }] of group.entries())
        resolve((wanted[i] ?? []).flatMap((place) => answers[place] ?? []));
    } catch (error) {
      for (const { reject } of group) reject(error);
    } finally {
      clearTimeout(late);
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
