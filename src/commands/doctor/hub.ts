/** The hub as all gates need it: there, on time, logged in to, with builders that make repos. */
import type { KojiSettings } from '../../config/config.ts';
import { TASK } from '../../core/model.ts';
import { plural, span } from '../../core/wording.ts';
import * as koji from '../../koji/calls.ts';
import { describeFeatures, detectFeatures, type HubFeatures, nameHub } from '../../koji/features.ts';
import type { Answer, Hub } from '../../koji/hub.ts';
import { ASK, attempt, type Check, info, ok, unsure, wrong } from './check.ts';

/** What was learnt of the hub, for the checks of each gate. */
export interface KnownHub {
  readonly hub: Hub;
  readonly features: HubFeatures;
  /** Undefined where the login failed. */
  readonly user: Account | undefined;
  /** All builders that are enabled. */
  readonly hosts: Answer<readonly koji.Host[]>;
  /** Ended newRepo tasks of all tags, newest first. */
  readonly newRepos: Answer<readonly koji.TaskInfo[]>;
}

/** The gate's user, with its permissions. */
export interface Account {
  readonly id: number;
  readonly name: string;
  readonly perms: readonly string[];
}

/** Policies bind an admin too, since the gate forces nothing; what asks for the permission `admin` lets one pass. */
export const isAdmin = ({ perms }: Account): boolean => perms.includes('admin');

const HUB = 'hub';
/** Skew that harms nothing, and skew that does, in ms: Kerberos refuses tickets beyond five minutes. */
const SKEW = { fine: 5_000, wrong: 60_000 };
/** How many ended newRepo tasks are looked through for those of a build tag. */
const NEW_REPOS = 100;

/** Undefined where nothing more can be asked. */
export async function examineHub(hub: Hub, settings: KojiSettings): Promise<[Check[], KnownHub | undefined]> {
  const found = await attempt(detectFeatures(hub));
  if (!found.ok) {
    const { message } = found.error;
    const mend = /certificate/i.test(message)
      ? SERVER_MEND
      : 'check koji.server, the network, and whether the hub has an outage';
    return [[wrong(HUB, message, `${mend}; the gates were not checked`)], undefined];
  }
  const features = found.value;
  const [login, user] = await examineLogin(hub, settings);
  const [hosts, repoHosts, newRepos] = await hub.readAll([
    koji.listHosts({ enabled: true }),
    koji.listHosts({ enabled: true, channelID: 'createrepo' }),
    koji.listTasks(
      { method: 'newRepo', state: [TASK.CLOSED, TASK.FAILED], decode: true },
      { order: '-id', limit: NEW_REPOS },
    ),
  ]);
  const checks = [
    ok(HUB, `${nameHub(features)} at ${settings.server}`),
    ...describeFeatures(features).map(({ text }) => info(HUB, text)),
    describeSkew(hub.skew()),
    ...login,
    describeHosts(
      HUB,
      'repos (channel createrepo)',
      repoHosts,
      'koji add-host-to-channel HOST createrepo, or koji enable-host HOST',
    ),
  ];
  return [checks, { hub, features, user, hosts, newRepos }];
}

function describeSkew(skew: number | undefined): Check {
  if (skew === undefined) {
    return unsure(HUB, 'whether both clocks agree: the hub sends no Date', 'compare "date" on both machines');
  }
  const off = Math.abs(skew);
  const what = `the hub's clock is ${span(off)} ${skew > 0 ? 'ahead of' : 'behind'} this one`;
  const mend = 'set both clocks by NTP (chronyc tracking); Kerberos refuses tickets beyond 5 minutes';
  if (off > SKEW.wrong) return wrong(HUB, what, mend);
  return off > SKEW.fine ? unsure(HUB, what, mend) : ok(HUB, 'both clocks agree');
}

/** What to look at when a login fails, for each way to log in. */
const LOGIN_MENDS: Record<KojiSettings['authtype'], string> = {
  password: 'check user and password in [koji]',
  ssl: 'check cert, key and serverca in [koji], and that the hub has a user of the name in the certificate',
  kerberos: 'check keytab, principal and serverca in [koji], and the clocks',
  noauth:
    'set authtype in [koji] with what it needs: cert and key, keytab and principal, or user and password',
};

/** What to look at when the hub is not the one that is trusted here. */
const SERVER_MEND = 'check server and serverca in [koji]';

/** Where the settings of the login cannot even be read. */
export const describeSettings = (settings: KojiSettings, error: Error): Check =>
  wrong(
    HUB,
    error.message,
    `${/serverca/.test(error.message) ? SERVER_MEND : LOGIN_MENDS[settings.authtype]}; the gates were not checked`,
  );

async function examineLogin(hub: Hub, { authtype }: KojiSettings): Promise<[Check[], Account | undefined]> {
  const unchecked = 'what the user may do was not checked';
  const mend = `${LOGIN_MENDS[authtype]}; ${unchecked}`;
  if (authtype === 'noauth') {
    return [[wrong(HUB, 'no login, so nothing can be built or tagged', mend)], undefined];
  }
  const user = await attempt(hub.write(koji.getLoggedInUser()));
  if (!user.ok) {
    const { message } = user.error;
    // The message says what to do, and no certificate is at fault.
    return [[wrong(HUB, message, /TLS 1\.2/.test(message) ? `${ASK}; ${unchecked}` : mend)], undefined];
  }
  if (!user.value) return [[wrong(HUB, 'the hub does not say who is logged in', mend)], undefined];
  const { id, name } = user.value;
  const perms = await attempt(hub.write(koji.getPerms()));
  const account = { id, name, perms: perms.ok ? perms.value : [] };
  return [[ok(HUB, `logged in as ${name}`), describePerms(account)], account];
}

function describePerms(account: Account): Check {
  const { name, perms } = account;
  if (isAdmin(account)) {
    return info(
      HUB,
      `${name} is an admin, and may do nearly everything but what a policy forbids; a gate needs less`,
    );
  }
  const has = perms.length > 0 ? `has the permissions ${perms.join(', ')}` : 'has no permissions of its own';
  return info(HUB, `${name} ${has}: the hub's policies decide`);
}

/**
 * Whether builders are there. One that is not ready may only have all the work that it can do.
 * @param mend what brings more builders
 */
export function describeHosts(
  area: string,
  purpose: string,
  hosts: Answer<readonly koji.Host[]>,
  mend: string,
): Check {
  const what = `builders for ${purpose}`;
  if (!hosts.ok) return unsure(area, `${what}: ${hosts.error.message}`, 'koji list-hosts');
  const all = hosts.value.length;
  const ready = hosts.value.filter((host) => host.ready).length;
  if (all === 0) return wrong(area, `${what}: none is enabled, so such tasks wait for ever`, mend);
  if (ready > 0) return ok(area, `${what}: ${ready} of ${all} ready`);
  const look = 'koji list-hosts shows when each was last seen; on those that are down, start kojid';
  return unsure(area, `${what}: none of ${plural(all, 'builder')} is ready; all are busy, or down`, look);
}
