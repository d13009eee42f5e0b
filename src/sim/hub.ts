/** The hub's API: from a call to what the hub sends. Shapes and faults are those of Koji 1.35. */
import { Fault, type XmlValue } from '../koji/xmlrpc.ts';
import { arg, bind, type Caller, list, loggedIn, lookUp, type Methods, struct } from './arguments.ts';
import { BUILD_METHODS } from './hub-builds.ts';
import { TAG_METHODS } from './hub-tags.ts';
import { TASK_METHODS } from './hub-tasks.ts';
import { loggedInUser, login, logout, sessionInfo, sslLogin } from './sessions.ts';
import { userInfo } from './shapes.ts';
import { FAULT, findUser, python } from './state.ts';

/** Call a method of the hub. Throws the Fault that the hub would send. */
export function callMethod(caller: Caller, name: string, params: readonly XmlValue[]): XmlValue {
  if (name === 'multiCall') return multiCall(caller, params);
  const method = METHODS.get(name);
  if (method === undefined || caller.state.scenario.hub.lacks.includes(name))
    throw new Fault(FAULT.GENERIC, `Invalid method: ${name}`);
  return method.run(caller, bind(name, method.parameters, params));
}

/** Each call's value in a list of one, or its fault; one that fails does not stop the others. */
function multiCall(caller: Caller, params: readonly XmlValue[]): XmlValue {
  return list(params[0] ?? null).map((each) => {
    const call = struct(each);
    try {
      return [callMethod(caller, String(call['methodName']), list(call['params'] ?? []))];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const traceback = ['Traceback (most recent call last):\n', `koji.GenericError: ${error.text}\n`];
      return { faultCode: error.code, faultString: error.text, traceback };
    }
  });
}

const USER_METHODS: Methods = {
  getAPIVersion: () => 1,
  getKojiVersion: ({ state }) => state.scenario.hub.version,
  'system.listMethods': ({ state }) =>
    ['multiCall', ...METHODS.keys()].filter((name) => !state.scenario.hub.lacks.includes(name)),
  'login user password opts?': ({ state, session }, args) => {
    if (session !== null) throw new Fault(FAULT.GENERIC, 'Already logged in');
    return login(state, String(arg(args, 'user')), String(arg(args, 'password')));
  },
  'sslLogin proxyuser? proxyauthtype?': ({ state, verified }) => sslLogin(state, verified),
  'logout session_id?': ({ state, session }) => {
    if (session === null) throw new Fault(FAULT.AUTH, 'Not logged in');
    return logout(state, session);
  },
  getLoggedInUser: ({ user }) => (user === null ? null : loggedInUser(user)),
  showSession: ({ session }) =>
    session === null ? 'session: not logged in' : `session ${session.id}: ${session.user.name}`,
  'getSessionInfo details? user_id?': ({ session }) => (session === null ? null : sessionInfo(session)),
  getPerms: (caller) => loggedIn(caller).perms,
  'hasPerm perm strict?': ({ user }, args) => user?.perms.includes(String(arg(args, 'perm'))) === true,
  'getUser userInfo? strict? krb_princs? groups?': (caller, args) => {
    const ref = arg(args, 'userInfo') ?? loggedIn(caller).id;
    return lookUp(findUser(caller.state, ref), arg(args, 'strict'), `No such user: ${python(ref)}`, userInfo);
  },
};

/** Every method by its name. */
const METHODS = new Map(
  [USER_METHODS, TAG_METHODS, BUILD_METHODS, TASK_METHODS].flatMap((methods) =>
    Object.entries(methods).map(([signature, run]) => {
      const [name = '', ...parameters] = signature.split(' ');
      return [name, { parameters, run }] as const;
    }),
  ),
);
