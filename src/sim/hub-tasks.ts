/** The hub's methods about tasks and repos. */
import { Fault, type XmlStruct, type XmlValue } from '../koji/xmlrpc.ts';
import {
  type Args,
  arg,
  integer,
  list,
  loggedIn,
  lookUp,
  type Methods,
  optionalInteger,
  query,
  struct,
} from './arguments.ts';
import { defaultMinEvent, lastChange, readyRepo, repoInfo, requestInfo, requestRepo } from './repos.ts';
import { hostInfo, taskInfo, taskResult, taskRow, timeSeconds } from './shapes.ts';
import {
  FAULT,
  hasPerm,
  hostsIn,
  REPO,
  row,
  type State,
  TASK,
  type Tag,
  type Task,
  tagOf,
  userOf,
} from './state.ts';
import { cancelTask, childrenOf, makeTask, resultOf } from './tasks.ts';

/** Making, looking at and ending them. Parameters that no gate uses are taken and not heeded. */
export const TASK_METHODS: Methods = {
  'getRepo tag state? event? dist? min_event?': ({ state }, args) => {
    const tag = tagOf(state, arg(args, 'tag'));
    const event = optionalInteger(args, 'event');
    const min = optionalInteger(args, 'min_event') ?? 0;
    // The one that was made last, of whatever event; those up to an event in whatever state.
    const repo = state.repos.findLast(
      (each) =>
        each.tag_id === tag.id &&
        each.create_event >= min &&
        (event === null ? each.state === REPO.READY : each.create_event <= event),
    );
    return repo === undefined ? null : repoInfo(state, repo);
  },
  'repo.get tag min_event? at_event? opts?': ({ state }, args) => {
    const tag = tagOf(state, arg(args, 'tag'));
    const [min, at] = ['min_event', 'at_event'].map((name) => optionalInteger(args, name));
    const repo = readyRepo(state, tag, min ?? null, at ?? null);
    return repo === undefined ? null : repoInfo(state, repo);
  },
  'repo.query clauses fields? opts?': ({ state }, args) => {
    const clauses = list(arg(args, 'clauses')).map((clause) => list(clause));
    const rows = state.repos
      .map((repo) => repoInfo(state, repo))
      .filter((info) => clauses.every(([name, , value]) => info[String(name)] === value));
    const fields = list(arg(args, 'fields') ?? DEFAULT_REPO_FIELDS).map(String);
    return list(query(rows, arg(args, 'opts'))).map((info) => pick(struct(info), fields));
  },
  'repoInfo repo_id strict?': ({ state }, args) =>
    repoInfo(state, row(state.repos, integer(args, 'repo_id'), 'repo')),
  'repo.request tag min_event? at_event? opts? priority? force?': (caller, args) => {
    const { state } = caller;
    const user = loggedIn(caller);
    const tag = tagOf(state, arg(args, 'tag'));
    const priority = 20 + (optionalInteger(args, 'priority') ?? 0);
    const at = optionalInteger(args, 'at_event');
    if (at !== null && !state.events.some(({ id }) => id === at))
      throw new Fault(FAULT.PARAMETER, `Invalid event: ${at}`);
    const min = at === null ? minEvent(state, tag, args) : null;
    const { repo, request, duplicate } = requestRepo(state, user, tag, min, priority, at);
    return {
      repo: repo === null ? null : repoInfo(state, repo),
      request: request === null ? null : requestInfo(state, request),
      duplicate,
    };
  },
  'repo.checkRequest req_id': ({ state }, args) => {
    const request = state.requests[integer(args, 'req_id') - 1];
    if (request === undefined) throw new Fault(FAULT.GENERIC, 'No such request');
    const repo = request.repo_id === null ? null : repoInfo(state, row(state.repos, request.repo_id, 'repo'));
    const answer = { repo, request: requestInfo(state, request) };
    return repo === null && request.task_id !== null
      ? { ...answer, task: taskInfo(taskOf(state, request.task_id)) }
      : answer;
  },
  'repo.queryQueue clauses? fields? opts?': ({ state }, args) => {
    const rows = state.requests.map((request) => requestInfo(state, request));
    const fields = list(arg(args, 'fields') ?? DEFAULT_QUEUE_FIELDS).map(String);
    return list(query(rows, arg(args, 'opts'))).map((info) => pick(struct(info), fields));
  },
  'newRepo tag event? src? debuginfo? separate_src?': (caller, args) => {
    const user = caller.user;
    if (user === null || !hasPerm(user, 'regen-repo')) {
      const who = user === null ? 'user not logged in' : `logged in as ${user.name}`;
      throw new Fault(FAULT.NOT_ALLOWED, `regen-repo permission required (${who})`);
    }
    const tag = tagOf(caller.state, arg(args, 'tag'));
    return makeTask(caller.state, { method: 'newRepo', request: [tag.name], owner: user.id, priority: 15 })
      .id;
  },
  'listHosts arches? channelID? ready? enabled? userID? queryOpts?': ({ state }, args) => {
    const channel = arg(args, 'channelID') ?? 'default';
    if (channel !== 'default' && channel !== 'createrepo') {
      throw new Fault(FAULT.GENERIC, `No such entry in table channels: ${String(channel)}`);
    }
    const wanted = list(arg(args, 'arches'));
    const ready = arg(args, 'ready');
    const none =
      arg(args, 'enabled') === false ||
      (wanted.length > 0 && !state.scenario.arches.some((arch) => wanted.includes(arch)));
    const hosts = none ? [] : hostsIn(state, channel);
    return query(
      hosts.filter((host) => ready === null || host.ready === ready).map((host) => hostInfo(state, host)),
      arg(args, 'queryOpts'),
    );
  },
  'build src target opts? priority? channel?': (caller, args) => {
    const user = loggedIn(caller);
    const offset = optionalInteger(args, 'priority') ?? 0;
    if (offset < 0 && !hasPerm(user, 'admin')) {
      throw new Fault(FAULT.NOT_ALLOWED, 'only admins may create high-priority tasks');
    }
    const request = [arg(args, 'src'), arg(args, 'target'), struct(arg(args, 'opts'))];
    return makeTask(caller.state, { method: 'build', request, owner: user.id, priority: 20 + offset }).id;
  },
  'cancelTask task_id recurse?': ({ state, user }, args) => {
    const task = taskOf(state, integer(args, 'task_id'));
    if (user === null || (task.owner !== user.id && !hasPerm(user, 'admin'))) {
      throw new Fault(FAULT.NOT_ALLOWED, 'Cannot cancel task, not owner');
    }
    cancelTask(state, task);
    return null;
  },
  'getTaskInfo task_id request? strict?': ({ state }, args) => {
    const request = arg(args, 'request') === true;
    const ids = arg(args, 'task_id');
    if (Array.isArray(ids)) return ids.map((id) => taskStruct(taskOf(state, Number(id)), request));
    const found = state.tasks[integer(args, 'task_id') - 1];
    return lookUp(found, arg(args, 'strict'), `No such task: ${String(ids)}`, (task) =>
      taskStruct(task, request),
    );
  },
  'getTaskChildren task_id request? strict?': ({ state }, args) =>
    childrenOf(state, taskOf(state, integer(args, 'task_id'))).map((task) =>
      taskStruct(task, arg(args, 'request') === true),
    ),
  'getTaskDescendents task_id request?': ({ state }, args) => {
    const below: Record<string, XmlValue> = {};
    const walk = (task: Task) => {
      const children = childrenOf(state, task);
      below[task.id] = children.map((child) => taskStruct(child, arg(args, 'request') === true));
      children.forEach(walk);
    };
    walk(taskOf(state, integer(args, 'task_id')));
    return below;
  },
  'getTaskResult taskId raise_fault?': ({ state }, args) => {
    const task = taskOf(state, integer(args, 'taskId'));
    const quiet = arg(args, 'raise_fault') === false && task.state === TASK.FAILED;
    return quiet ? taskResult(task) : resultOf(task);
  },
  'listTasks opts? queryOpts?': ({ state }, args) => {
    const opts = struct(arg(args, 'opts'));
    const found = state.tasks.filter((task) => isWanted(state, task, opts));
    return query(
      found.map((task) => taskRow(state, task, opts['decode'] === true)),
      arg(args, 'queryOpts'),
    );
  },
  'listTaskOutput taskID stat? all_volumes? strict?': ({ state }, args) => {
    const { files } = taskOf(state, integer(args, 'taskID'));
    if (arg(args, 'stat') !== true) return [...files.keys()];
    const stat = ({ content, time }: { content: string; time: number }) => {
      const at = timeSeconds(time);
      return { st_atime: at, st_ctime: at, st_mtime: at, st_size: String(Buffer.byteLength(content)) };
    };
    return Object.fromEntries([...files].map(([name, file]) => [name, stat(file)]));
  },
  'downloadTaskOutput taskID fileName offset? size? volume?': ({ state }, args) => {
    const task = taskOf(state, integer(args, 'taskID'));
    const name = String(arg(args, 'fileName'));
    const file = task.files.get(name);
    if (file === undefined) throw new Fault(FAULT.GENERIC, `no file "${name}" output by task ${task.id}`);
    const bytes = Buffer.from(file.content);
    const offset = Number(arg(args, 'offset') ?? 0);
    const size = optionalInteger(args, 'size') ?? -1;
    // Python seeks from the end, and there is nothing before the beginning.
    if (-offset > bytes.length) {
      throw new Fault(
        FAULT.UNEXPECTED,
        'Traceback (most recent call last):\nOSError: [Errno 22] Invalid argument\n',
      );
    }
    const start = offset < 0 ? bytes.length + offset : offset;
    return bytes.subarray(start, size < 0 ? undefined : start + size).toString('base64');
  },
};

const pick = (info: XmlStruct, fields: readonly string[]): XmlStruct =>
  Object.fromEntries(fields.map((name) => [name, info[name] ?? null]));

/** What `repo.query` tells of a repo when it is not asked for more. */
const DEFAULT_REPO_FIELDS = [
  'id',
  'tag_id',
  'create_event',
  'state',
  'dist',
  'task_id',
  'opts',
  'custom_opts',
];

/** What `repo.queryQueue` tells of a request when it is not asked for more. */
const DEFAULT_QUEUE_FIELDS = [
  'id',
  'tag_id',
  'at_event',
  'min_event',
  'create_ts',
  'task_id',
  'tries',
  'repo_id',
  'opts',
  'active',
  'update_ts',
];

function minEvent(state: State, tag: Tag, args: Args): number {
  const wanted = arg(args, 'min_event');
  if (wanted === 'last') return lastChange(state, tag);
  return wanted === null ? defaultMinEvent(state, tag) : integer(args, 'min_event');
}

function taskOf(state: State, id: number): Task {
  const task = state.tasks[id - 1];
  if (task === undefined) throw new Fault(FAULT.GENERIC, `No such task: ${id}`);
  return task;
}

function taskStruct(task: Task, request: boolean): XmlStruct {
  return request ? { ...taskInfo(task), request: task.request } : taskInfo(task);
}

/** listTasks' filters, as far as clients of a gate use them. */
function isWanted(state: State, task: Task, opts: XmlStruct): boolean {
  const among = (name: string, value: XmlValue) => opts[name] == null || list(opts[name]).includes(value);
  const since = opts['createdAfter'];
  const owner =
    opts['owner'] == null || list(opts['owner']).some((ref) => userOf(state, ref).id === task.owner);
  return (
    owner &&
    among('state', task.state) &&
    among('method', task.method) &&
    among('parent', task.parent) &&
    (typeof since !== 'number' || task.created > since * 1000) &&
    (typeof since !== 'string' || task.created > Date.parse(since))
  );
}
