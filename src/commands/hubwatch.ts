/** The hub as a running gate sees it: whether it answers, whether the login works, and what the log says of both. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Health, Login } from '../http/health.ts';
import { getLoggedInUser } from '../koji/calls.ts';
import { describeFeatures, detectFeatures, nameHub } from '../koji/features.ts';
import { type Hub, HubError } from '../koji/hub.ts';

/** A hub whose calls are listened to. */
export interface WatchedHub {
  readonly hub: Hub;
  /** Since when it does not answer, and what it says. */
  trouble(): Health['trouble'];
  /** Whether the login works, as the newest call that needed one has shown. */
  login(): Login;
}

/** Pauses in ms. */
export interface LoginPace {
  /** Before a login that failed is tried again. */
  readonly retry: number;
  /** Before one that works is tried again: a gate with nothing to do would not notice that it works no more. */
  readonly check: number;
  /** The log tells again of a login that fails after this at the latest. */
  readonly tell: number;
}

const PACE: LoginPace = { retry: 60_000, check: 600_000, tell: 600_000 };
/** Between questions to a hub that does not answer, in ms. */
const ASK_EVERY = 60_000;

/** Listen to the calls of a hub. */
export function watchHub(hub: Hub): WatchedHub {
  let trouble: Health['trouble'] = null;
  let login: Login = { state: 'waiting', since: Date.now() };

  const works = () => {
    if (login.state !== 'works') login = { state: 'works', since: Date.now() };
  };
  const fails = (reason: string) => {
    login = { state: 'fails', since: login.state === 'fails' ? login.since : Date.now(), reason };
  };
  /** Whoever is told no is logged in; of a hub that does not answer nothing is known. */
  const failed = (error: unknown, needsLogin: boolean) => {
    // The lease is no matter of the hub's.
    if (!(error instanceof HubError) || error.method === 'lease') return;
    if (error.method === 'login') fails(error.message);
    else if (error.kind === 'unavailable')
      trouble = { since: trouble?.since ?? Date.now(), reason: error.message };
    else if (needsLogin && error.kind === 'refused') works();
  };
  const watch = async <T>(call: Promise<T>, needsLogin: boolean): Promise<T> => {
    try {
      const answer = await call;
      trouble = null;
      if (needsLogin) works();
      return answer;
    } catch (error) {
      failed(error, needsLogin);
      throw error;
    }
  };
  return {
    hub: {
      ...hub,
      read: (call) => watch(hub.read(call), false),
      readAll: (calls) => watch(hub.readAll(calls), false),
      write: (call, permit) => watch(hub.write(call, permit), true),
      writeAll: (calls, permit) => watch(hub.writeAll(calls, permit), true),
    },
    trouble: () => trouble,
    login: () => login,
  };
}

/** Say once what the hub has and what is done instead, as soon as it answers. Ends with `stop`. */
export async function tellHub(hub: Hub, log: Logger, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      const features = await detectFeatures(hub);
      log.info(nameHub(features));
      for (const { text } of describeFeatures(features)) log.info(text);
      return;
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      log.warn({ reason: error.message }, 'the hub does not answer yet');
      await pause(ASK_EVERY, stop);
    }
  }
}

/**
 * Try the login at once and again and again, until `stop`. The log tells who is logged in, and of a login that fails at
 * once and as long as it does: each time after twice as long, but at least every ten minutes.
 */
export async function keepLogin(
  hub: Hub,
  log: Logger,
  stop: AbortSignal,
  pace: LoginPace = PACE,
): Promise<void> {
  let known: string | undefined;
  let failing: { readonly since: number; readonly told: number } | undefined;
  while (!stop.aborted) {
    try {
      const user = await hub.write(getLoggedInUser());
      if (user && (failing || user.name !== known)) log.info(`logged in as ${user.name}`);
      known = user?.name;
      failing = undefined;
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      const now = Date.now();
      const { since, told } = failing ?? { since: now, told: 0 };
      const due = told === 0 || now - told >= Math.min(told - since, pace.tell);
      if (due) log.warn({ reason: error.message }, 'cannot log in: nothing can be built or tagged');
      failing = { since, told: due ? now : told };
    }
    await pause(failing ? pace.retry : pace.check, stop);
  }
}

async function pause(ms: number, stop: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: stop }).catch(() => {});
}
