/** Reads whose answer does not change: of what is past, and of builds that are complete. */
import { type Answer, type Call, type Hub, unwrap } from './hub.ts';

/**
 * A hub that is asked for the same only once: what it has answered is known from then on. What it refused is asked again.
 * @param isKept whether the answers of a method are kept; those that are large are kept elsewhere
 */
export function askOnce(
  hub: Pick<Hub, 'readAll'>,
  isKept: (method: string) => boolean,
): Pick<Hub, 'read' | 'readAll'> {
  const known = new Map<string, Answer<unknown>>();
  const keyOf = ({ method, params }: Call<unknown>) => `${method} ${JSON.stringify(params)}`;

  const readAll = async (calls: readonly Call<unknown>[]): Promise<Answer<unknown>[]> => {
    const unknown = new Map(calls.map((call) => [keyOf(call), call]));
    for (const key of known.keys()) unknown.delete(key);
    const answers: readonly Answer<unknown>[] =
      unknown.size > 0 ? await hub.readAll([...unknown.values()]) : [];
    const fresh = new Map([...unknown.keys()].map((key, i) => [key, answers[i]]));
    for (const [key, { method }] of unknown) {
      const answer = fresh.get(key);
      if (answer?.ok && isKept(method)) known.set(key, answer);
    }
    return calls.flatMap((call) => known.get(keyOf(call)) ?? fresh.get(keyOf(call)) ?? []);
  };
  return {
    readAll: readAll as Hub['readAll'],
    read: async <T>(call: Call<T>): Promise<T> => unwrap((await readAll([call]))[0]) as T,
  };
}
