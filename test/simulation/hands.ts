/** Whose hand moved a kernel: the gate's own, as it had asked for, or another one. */
import type { Gate, Run } from '../../src/core/model.ts';
import type { State } from '../../src/sim/state.ts';
import { type Clock, listingsIn } from './held.ts';

/** A hub as a gate's checker sees it. */
export interface Hub {
  readonly state: State;
  /** Id of the gate's user. */
  readonly me: number;
  readonly clock: Clock;
}

const standsIn = ({ watch, on_pass, on_fail }: Gate) => new Set([watch, ...on_pass.tag, ...on_fail.tag]);

/**
 * How the tags of a run's kernel differ from what the gate's own hand left, when it acts at a time. What happens in that
 * same moment may be before or after, so it counts neither way.
 */
export function movedByHand(
  hub: Hub,
  gate: Gate,
  run: Run,
  time: number,
  allow?: 'moved on',
): string | undefined {
  const before = differs(hub, gate, run, (at) => at < time, allow);
  return before && differs(hub, gate, run, (at) => at <= time, allow);
}

/** @param allow what left a pass tag again may have been moved on, by a signer or a compose: that takes nothing over */
function differs(
  { state, me, clock }: Hub,
  gate: Gate,
  run: Run,
  past: (at: number) => boolean,
  allow?: 'moved on',
): string | undefined {
  for (const name of standsIn(gate)) {
    const tag = state.tags.find((one) => one.name === name);
    if (!tag) continue;
    const stays = listingsIn(state, tag, clock).filter(({ build }) => build.id === run.kernel.id);
    const stands = stays.find(({ since, till }) => past(since) && !past(till));
    const changes = stays
      .flatMap(({ listing, since, till }) => [
        { event: listing.create_event, at: since, by: listing.creator_id, is: true },
        { event: listing.revoke_event ?? 0, at: till, by: listing.revoker_id, is: false },
      ])
      .filter(({ at }) => at >= run.startedAt && past(at))
      .toSorted((a, b) => a.event - b.event);
    // What another gate did last is no person's hand, though all have one user.
    const last = changes.at(-1);
    if (last?.by === me && !isAsked(run, name, last.is, last.at)) continue;
    const own = changes.filter(({ by, is, at }) => by === me && isAsked(run, name, is, at));
    const left = own.at(-1)?.is ?? ((name === gate.watch && stays.length > 0) || run.tags.includes(name));
    // Where it had failed before anybody may tidy up: that is nothing of this run's.
    const leftover = own.length === 0 && gate.on_fail.tag.includes(name);
    const should = left && (!leftover || stands !== undefined);
    const movedOn = allow === 'moved on' && own.at(-1)?.is === true && gate.on_pass.tag.includes(name);
    if (should && !stands && !movedOn) return `it was taken out of ${name} by hand`;
    if (!should && stands) return `it was tagged into ${name} by hand`;
    if (name === gate.watch && stands && own.length === 0 && stands.listing.create_event !== run.entry)
      return `it was tagged into ${name} again`;
  }
  return undefined;
}

/** Whether a run has asked by then for its kernel to come into a tag (`is`), or to leave it. */
const isAsked = ({ intents }: Run, name: string, is: boolean, at: number): boolean =>
  intents.some(
    ({ write, askedAt }) =>
      askedAt <= at &&
      ((write.kind === 'tag' && (is ? write.tag === name : write.from === name)) ||
        (write.kind === 'untag' && !is && write.tag === name)),
  );

/** Whether anything moved the kernel in a run's time but the run itself. */
export function isTouched({ state, me, clock }: Hub, gate: Gate, run: Run, time: number): boolean {
  const names = standsIn(gate);
  const own = (name: string, is: boolean, at: number) => isAsked(run, name, is, at);
  return [...names].some((name) => {
    const tag = state.tags.find((one) => one.name === name);
    const stays = tag ? listingsIn(state, tag, clock).filter(({ build }) => build.id === run.kernel.id) : [];
    return stays.some(({ listing, since, till }) => {
      const came = listing.create_event > run.entry && since <= time;
      const went = (listing.revoke_event ?? 0) > run.entry && till <= time;
      return (
        (came && (listing.creator_id !== me || !own(name, true, since))) ||
        (went && (listing.revoker_id !== me || !own(name, false, till)))
      );
    });
  });
}

/** Whether a run's kernel ever stood in a tag. */
export const wasEverIn = ({ state, clock }: Hub, name: string, { kernel }: Run): boolean =>
  state.tags
    .filter((tag) => tag.name === name)
    .some((tag) => listingsIn(state, tag, clock).some(({ build }) => build.id === kernel.id));
