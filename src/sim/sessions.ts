/** Who calls, and in which order: Koji's sessions. */
import { Fault, type XmlStruct } from '../koji/xmlrpc.ts';
import { timeSeconds, timeText } from './shapes.ts';
import { digest, FAULT, type Session, type State, type User } from './state.ts';

/** What the headers Koji-Session-Id, -Key and -Callnum say. */
export interface SessionClaim {
  readonly id: number;
  readonly key: string;
  /** Koji does without; then the order of calls is not checked. */
  readonly callnum: number | null;
}

/** Start a session with a password (hub method `login`). Throws fault 1002. */
export function login(state: State, name: string, password: string): XmlStruct {
  const user = state.users.find((each) => each.name === name && each.password === password);
  if (user === undefined) throw new Fault(FAULT.AUTH, 'invalid username or password');
  return begin(state, user);
}

/** Start a session for whom the web server has verified (hub method `sslLogin`). Throws fault 1002. */
export function sslLogin(state: State, verified: string | null): XmlStruct {
  const user = state.users.find((each) => each.name === verified);
  if (user === undefined)
    throw new Fault(FAULT.AUTH, `could not verify client: ${verified ?? 'no certificate'}`);
  return begin(state, user);
}

function begin(state: State, user: User): XmlStruct {
  const id = state.sessions.length + 1;
  const key = `${user.id}-${digest(`session ${id}`).slice(0, 20)}`;
  state.sessions.push({ id, key, user, start: state.now, callnum: null, state: 'live' });
  state.wrote = true;
  const login = { 'session-id': id, 'session-key': key };
  return state.scenario.hub.version.localeCompare('1.31', 'en', { numeric: true }) < 0
    ? login
    : { ...login, 'header-auth': true };
}

/**
 * The session that a call belongs to. Throws 1002 for none, 1007 for one that timed out, 1008 for a call number
 * below that of the last call that wrote something, 1009 for that same number again.
 */
export function authenticate(state: State, method: string, claim: SessionClaim): Session {
  const session = state.sessions[claim.id - 1];
  if (session === undefined || session.key !== claim.key || session.state === 'closed') {
    throw new Fault(FAULT.AUTH, 'Invalid session or bad credentials');
  }
  if (session.state === 'expired') throw new Fault(FAULT.AUTH_EXPIRED, `session "${session.id}" has expired`);
  const last = session.callnum;
  if (last !== null && claim.callnum !== null && last > claim.callnum) {
    throw new Fault(FAULT.SEQUENCE, `${last} > ${claim.callnum} (session ${session.id})`);
  }
  if (last !== null && last === claim.callnum) {
    throw new Fault(FAULT.RETRY, `unable to retry call ${last} (method ${method}) for session ${session.id}`);
  }
  return session;
}

/** End a session; whatever arrives for it later is refused with 1002. */
export function logout(state: State, session: Session): null {
  session.state = 'closed';
  state.wrote = true;
  return null;
}

/** As `getLoggedInUser` has it; authtype 0 is a password. */
export function loggedInUser(user: User): XmlStruct {
  return {
    id: user.id,
    name: user.name,
    status: 0,
    usertype: 0,
    krb_principals: [],
    authtype: 0,
    krb_principal: null,
  };
}

/** As `getSessionInfo` has it. */
export function sessionInfo(session: Session): XmlStruct {
  return {
    user_id: session.user.id,
    expired: false,
    master: null,
    authtype: 0,
    callnum: session.callnum,
    start_time: timeText(session.start),
    start_ts: timeSeconds(session.start),
    exclusive: null,
  };
}
