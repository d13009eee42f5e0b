/** Whether the hub answers and the login works, as the calls of a gate show it. */
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { keepLogin, watchHub } from '../../src/commands/hubwatch.ts';
import { getLoggedInUser, getTag } from '../../src/koji/calls.ts';
import { type Hub, HubError } from '../../src/koji/hub.ts';

/** A hub that answers as `next` says: with an error, or with a user. */
function hubThat(next: () => HubError | undefined): Hub {
  const answer = async () => {
    const error = next();
    if (error) throw error;
    return { id: 7, name: 'kmod-gate' };
  };
  return {
    ...{ read: answer, readAll: answer, write: answer, writeAll: answer },
    ...{ skew: () => undefined, close: async () => {} },
  } as unknown as Hub;
}

const NO_LOGIN = new HubError('unavailable', 'login', 'login: wrong password');
const SILENT = new HubError('unavailable', 'getTag', 'getTag: connect ECONNREFUSED');
const REFUSED = new HubError('refused', 'tagBuild', 'tagBuild: not allowed');

test('a login that fails is no silent hub, and no read mends it', async () => {
  let error: HubError | undefined = NO_LOGIN;
  const watched = watchHub(hubThat(() => error));
  expect(watched.login().state).toBe('waiting');
  await expect(watched.hub.write(getLoggedInUser())).rejects.toBe(NO_LOGIN);
  expect(watched.login()).toMatchObject({ state: 'fails', reason: 'login: wrong password' });
  expect(watched.trouble()).toBeNull();
  const { since } = watched.login();
  error = undefined;
  await watched.hub.read(getTag('x'));
  expect(watched.login()).toMatchObject({ state: 'fails', since });
  await watched.hub.write(getLoggedInUser());
  expect(watched.login().state).toBe('works');
});

test('a hub that does not answer says nothing of the login; one that says no has let it in', async () => {
  let error: HubError | undefined = SILENT;
  const watched = watchHub(hubThat(() => error));
  await expect(watched.hub.writeAll([getTag('x')])).rejects.toBe(SILENT);
  expect(watched.login().state).toBe('waiting');
  expect(watched.trouble()).toMatchObject({ reason: 'getTag: connect ECONNREFUSED' });
  error = REFUSED;
  await expect(watched.hub.write(getTag('x'))).rejects.toBe(REFUSED);
  expect(watched.login().state).toBe('works');
  error = undefined;
  await watched.hub.readAll([getTag('x')]);
  expect(watched.trouble()).toBeNull();
});

/** Messages of the log, until `stop` aborts; `tell` hears each. */
async function logOf(hub: Hub, stop: AbortController, tell: number, hear: (lines: string[]) => void) {
  const lines: string[] = [];
  const write = (line: string) => {
    lines.push(JSON.parse(line).msg);
    hear(lines);
  };
  const log = pino({}, { write });
  await keepLogin(hub, log, stop.signal, { retry: 1, check: 1, tell });
  return lines;
}

const CANNOT = 'cannot log in: nothing can be built or tagged';

test('the log tells of a login that fails again and again, and that it works once more', async () => {
  const stop = new AbortController();
  let error: HubError | undefined = NO_LOGIN;
  const lines = await logOf(
    hubThat(() => error),
    stop,
    0,
    (so) => {
      if (so.length === 3) error = undefined;
      if (so.length === 4) error = NO_LOGIN;
      if (so.length === 5) stop.abort();
    },
  );
  expect(lines).toEqual([CANNOT, CANNOT, CANNOT, 'logged in as kmod-gate', CANNOT]);
});

test('but not at each try: the longer it lasts, the less often', async () => {
  const stop = new AbortController();
  let tries = 0;
  const lines = await logOf(
    hubThat(() => {
      tries += 1;
      if (tries === 40) stop.abort();
      return NO_LOGIN;
    }),
    stop,
    3_600_000,
    () => {},
  );
  expect(tries).toBe(40);
  expect(lines.length).toBeGreaterThan(1);
  expect(lines.length).toBeLessThan(20);
});
