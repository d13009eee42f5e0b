/** Whose work is what, on a hub that several instances with one user share: by who asked for it, whatever it says of itself. */
import type { World } from '../../src/sim/world.ts';

/** What a request may bring about, each with ids of its own. */
export type Claimed = 'task' | 'tag' | 'request';

export interface Claims {
  /** Let an instance's request be answered; what comes of that is its. */
  during<T>(instance: string, answer: () => T): T;
  /** The instance that something came of; undefined: of none. A task of another one is what that came of. */
  ownerOf(what: Claimed, id: number): string | undefined;
  /** Tags that an instance has removed, by id, in order. */
  removedBy(instance: string): readonly number[];
}

export function createClaims({ state }: Pick<World, 'state'>): Claims {
  const owners = new Map<string, string>();
  const removed = new Map<string, number[]>();
  const standing = () =>
    new Set(state.tags.flatMap(({ id, revoke_event }) => (revoke_event === null ? id : [])));
  return {
    during(instance, answer) {
      const [tasks, tags, requests] = [state.tasks.length, state.tags.length, state.requests.length];
      const stood = standing();
      try {
        return answer();
      } finally {
        for (const { id } of state.tasks.slice(tasks)) owners.set(`task ${id}`, instance);
        for (const { id } of state.tags.slice(tags)) owners.set(`tag ${id}`, instance);
        for (const { id } of state.requests.slice(requests)) owners.set(`request ${id}`, instance);
        const stands = standing();
        const gone = [...stood].filter((id) => !stands.has(id));
        if (gone.length > 0) removed.set(instance, [...(removed.get(instance) ?? []), ...gone]);
      }
    },
    ownerOf(what, id) {
      let top = id;
      if (what === 'task')
        for (let parent = state.tasks[top - 1]?.parent; parent; parent = state.tasks[top - 1]?.parent)
          top = parent;
      return owners.get(`${what} ${top}`);
    },
    removedBy: (instance) => removed.get(instance) ?? [],
  };
}
