/** Repositories: what a build root is made of. A new build is not in one until it is regenerated. */
import { Fault, type XmlStruct, type XmlValue } from '../koji/xmlrpc.ts';
import { tagInfo, timeSeconds, timeText } from './shapes.ts';
import {
  eventTime,
  FAULT,
  findUser,
  newEvent,
  REPO,
  type Repo,
  type RepoRequest,
  row,
  type State,
  TASK,
  type Tag,
  type Task,
  tagById,
  tell,
  type User,
} from './state.ts';
import { changeEvents } from './tags.ts';

/** Koji rounds the time that a repo may lag behind to a window, so that requests meet (RepoLagWindow). */
const LAG_WINDOW = 600_000;
/** How often a newRepo task that failed is made again (RepoRetries). */
const REPO_RETRIES = 3;

/** What a repo is wanted of: a tag at an event or later, or at one event alone. */
export type Wanted = Pick<RepoRequest, 'min_event' | 'at_event'>;

const isWanted = ({ create_event }: Repo, { min_event, at_event }: Wanted): boolean =>
  at_event === null ? create_event >= (min_event ?? 0) : create_event === at_event;

/** The newest ready repo of a tag that is as wanted (repo.get). */
export function readyRepo(
  state: State,
  tag: Tag,
  min_event: number | null,
  at_event: number | null = null,
): Repo | undefined {
  return state.repos
    .filter(
      (repo) =>
        repo.tag_id === tag.id && repo.state === REPO.READY && isWanted(repo, { min_event, at_event }),
    )
    .reduce<Repo | undefined>(
      (best, repo) => (best && best.create_event > repo.create_event ? best : repo),
      undefined,
    );
}

/** The tag's last change (tagLastChangeEvent). */
export function lastChange(state: State, tag: Tag): number {
  return changeEvents(state, tag).at(-1) ?? 0;
}

/** What a repo must hold if nobody says more: the last change, or what is older than the allowed lag. */
export function defaultMinEvent(state: State, tag: Tag): number {
  const base = Math.floor((state.now - state.scenario.timing.repo_lag) / LAG_WINDOW) * LAG_WINDOW;
  const before = state.events.findLast((event) => event.time < base)?.id ?? tag.create_event;
  return Math.min(before, lastChange(state, tag));
}

/** A ready repo, or the request for one; the same request for everybody who asks for no more (repo.request). */
export function requestRepo(
  state: State,
  user: User,
  tag: Tag,
  min_event: number | null,
  priority = 20,
  at_event: number | null = null,
): { readonly repo: Repo | null; readonly request: RepoRequest | null; readonly duplicate: boolean } {
  const repo = readyRepo(state, tag, min_event, at_event);
  if (repo !== undefined) return { repo, request: null, duplicate: false };
  const same = state.requests.find(
    (each) =>
      each.active &&
      each.tag_id === tag.id &&
      (at_event === null
        ? each.min_event !== null && each.min_event >= (min_event ?? 0)
        : each.at_event === at_event),
  );
  if (same !== undefined) return { repo: null, request: same, duplicate: true };
  const request: RepoRequest = {
    id: state.requests.length + 1,
    tag_id: tag.id,
    owner: user.id,
    priority,
    min_event: at_event === null ? min_event : null,
    at_event,
    created: state.now,
    updated: state.now,
    active: true,
    task_id: null,
    tries: 0,
    repo_id: null,
  };
  state.requests.push(request);
  state.wrote = true;
  return { repo: null, request, duplicate: false };
}

/** What kojira does before 1.35: a build tag that has changed gets a new repo, whether anybody asks or not. */
export function regenerate(state: State): void {
  for (const id of new Set(state.targets.map((target) => target.build_tag))) {
    const tag = tagById(state, id);
    requestRepo(state, repoUser(state), tag, lastChange(state, tag));
  }
}

/** When the hub looks at a request again, or null if it has its task. */
export function requestDue(state: State, request: RepoRequest): number | null {
  if (!request.active || request.task_id !== null) return null;
  return request.updated + state.scenario.timing.repo_queue;
}

/** The user whom the hub's own newRepo tasks belong to (RepoQueueUser). */
export function repoUser(state: State): User {
  return findUser(state, 'kojira') ?? row(state.users, 1, 'user');
}

/** The task's repo begins: it will hold what the tag holds at this event, or held at one of the past, and nothing later. */
export function initRepo(state: State, task: Task, tag: Tag, past: number | null = null): void {
  const begin_event =
    past === null
      ? lastChange(state, tag)
      : (changeEvents(state, tag).findLast((event) => event <= past) ?? past);
  const repo: Repo = {
    id: state.repos.length + 1,
    tag_id: tag.id,
    task_id: task.id,
    create_event: past ?? newEvent(state),
    begin_event,
    created: state.now,
    state: REPO.INIT,
    state_time: state.now,
  };
  state.repos.push(repo);
  tell(state, { kind: 'repo-init', tag: tagInfo(tag), repo: repoInfo(state, repo) });
}

/** kojira lets repos expire after a week (repo_lifetime); before Koji 1.35 once there was a newer one. */
const REPO_LIFETIME = 7 * 86_400_000;

/** The task's repo is ready: older ones may expire, requests that it satisfies are done. Returns the task's result. */
export function finishRepo(state: State, task: Task): XmlValue {
  const repo = state.repos.find((each) => each.task_id === task.id);
  if (repo === undefined) throw new Fault(FAULT.GENERIC, `Task ${task.id} has no repo`);
  const asks = !state.scenario.hub.lacks.includes('repo.request');
  for (const older of state.repos) {
    if (older.tag_id !== repo.tag_id || older.state !== REPO.READY) continue;
    const isOld = asks ? state.now - older.created > REPO_LIFETIME : true;
    if (isOld) setRepoState(state, older, REPO.EXPIRED);
  }
  setRepoState(state, repo, REPO.READY);
  for (const request of state.requests) {
    if (!request.active || request.tag_id !== repo.tag_id || !isWanted(repo, request)) continue;
    request.active = false;
    request.repo_id = repo.id;
    request.updated = state.now;
  }
  tell(state, { kind: 'repo-done', tag: tagInfo(tagById(state, repo.tag_id)), repo: repoInfo(state, repo) });
  return [repo.id, repo.create_event];
}

/** Requests whose task did not come to a repo are queued again, a few times. */
export function requeueRequests(state: State, task: Task): void {
  if (task.method !== 'newRepo' || task.state === TASK.CLOSED) return;
  for (const request of state.requests) {
    if (!request.active || request.task_id !== task.id) continue;
    if (request.tries > REPO_RETRIES) request.active = false;
    else request.task_id = null;
    request.updated = state.now;
  }
}

function setRepoState(state: State, repo: Repo, to: number): void {
  repo.state = to;
  repo.state_time = state.now;
}

/** A repo as `repo.get` has it. */
export function repoInfo(state: State, repo: Repo): XmlStruct {
  const tag = tagById(state, repo.tag_id);
  const end = changeEvents(state, tag).find((event) => event > repo.create_event) ?? null;
  return {
    begin_event: repo.begin_event,
    begin_ts: timeSeconds(eventTime(state, repo.begin_event)),
    create_event: repo.create_event,
    create_ts: timeSeconds(eventTime(state, repo.create_event)),
    creation_time: timeText(repo.created),
    creation_ts: timeSeconds(repo.created),
    custom_opts: {},
    dist: false,
    end_event: end,
    end_ts: end === null ? null : timeSeconds(eventTime(state, end)),
    id: repo.id,
    opts: { src: false, maven: false, debuginfo: false, separate_src: false },
    state: repo.state,
    state_time: timeText(repo.state_time),
    state_ts: timeSeconds(repo.state_time),
    tag_id: tag.id,
    tag_name: tag.name,
    task_id: repo.task_id,
    task_state: row(state.tasks, repo.task_id, 'task').state,
  };
}

/** A request as `repo.request` has it. */
export function requestInfo(state: State, request: RepoRequest): XmlStruct {
  return {
    active: request.active,
    at_event: request.at_event,
    create_time: timeText(request.created),
    create_ts: timeSeconds(request.created),
    id: request.id,
    min_event: request.min_event,
    opts: {},
    owner: request.owner,
    owner_name: row(state.users, request.owner, 'user').name,
    priority: request.priority,
    repo_id: request.repo_id,
    tag_id: request.tag_id,
    tag_name: tagById(state, request.tag_id).name,
    task_id: request.task_id,
    task_state: request.task_id === null ? null : row(state.tasks, request.task_id, 'task').state,
    tries: request.tries,
    update_time: timeText(request.updated),
    update_ts: timeSeconds(request.updated),
  };
}
