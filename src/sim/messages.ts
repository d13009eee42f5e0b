/** What a simulated Koji says on the bus, as an AMQP 0-9-1 consumer receives it from either of two plugins. */
import type { BusMessage } from '../bus/message.ts';
import { Double, encodeCall, type XmlStruct, type XmlValue } from '../koji/xmlrpc.ts';
import { digest, TASK, type WorldEvent } from './state.ts';

/** Which plugin is simulated. */
export interface MessageOptions {
  /** `fedora`: koji-fedoramessaging. `proton`: Koji's own protonmsg, through RabbitMQ's AMQP 1.0 plugin. */
  readonly family: 'fedora' | 'proton';
  /** What routing keys begin with; by default `org.example.prod` for fedora, `koji` for proton. */
  readonly prefix?: string;
}

/** The message that tells of an event, or null where there is none (fedora: of tasks, only of scratch builds). */
export function busMessage(event: WorldEvent, { family, prefix }: MessageOptions): BusMessage | null {
  return family === 'fedora'
    ? fedoraMessage(event, prefix ?? 'org.example.prod')
    : protonMessage(event, prefix ?? 'koji');
}

const TASK_STATES = ['FREE', 'OPEN', 'CLOSED', 'CANCELED', 'ASSIGNED', 'FAILED'];
const BUILD_STATES = ['BUILDING', 'COMPLETE', 'DELETED', 'FAILED', 'CANCELED'];

type Json = { readonly [name: string]: XmlValue | Json | readonly Json[] | undefined };

/** Doubles as numbers; members that are undefined are left out. */
function json(value: Json): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    member instanceof Double ? member.value : member,
  );
}

// --------------------------------------------------------------------------------- koji-fedoramessaging

function fedoraMessage(event: WorldEvent, prefix: string): BusMessage | null {
  const [topic, body] = fedoraBody(event) ?? [];
  if (topic === undefined) return null;
  const content = json({ base_url: 'https://koji.example.org', ...body, instance: 'primary' });
  return {
    routingKey: `${prefix}.buildsys.${topic}`,
    headers: {
      fedora_messaging_schema: 'base.message',
      fedora_messaging_schema_package: 'fedora_messaging',
      'sent-at': `${new Date(event.at).toISOString().slice(0, 19)}+00:00`,
      fedora_messaging_severity: 20,
      priority: 0,
    },
    properties: {
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      messageId: uuid(event),
    },
    body: Buffer.from(content),
  };
}

function fedoraBody(event: WorldEvent): [string, Json] | null {
  switch (event.kind) {
    case 'build':
      return ['build.state.change', fedoraBuild(event.build, event.task, event.old)];
    case 'tag':
    case 'untag': {
      const { name, version, release, owner_name: owner, build_id } = event.build;
      const { name: tag, id: tag_id } = event.tag;
      return [event.kind, { tag, name, version, release, user: event.user['name'], owner, tag_id, build_id }];
    }
    case 'promote':
      // The plugin does not hear of it.
      return null;
    case 'task':
      // Only parents of scratch builds are told of, and not that they are new.
      if (event.old === null || !isScratchBuild(event.task)) return null;
      return ['task.state.change', fedoraTask(event.task, event.old, event.owner)];
    default:
      return [
        event.kind.replace('-', '.'),
        { tag: event.tag['name'], tag_id: event.tag['id'], repo_id: event.repo['id'] },
      ];
  }
}

function fedoraBuild(build: XmlStruct, task: XmlStruct, old: number | null): Json {
  const { name, version, release, epoch, build_id, task_id, owner_name, state } = build;
  const owner = String(owner_name);
  return {
    ...{ name, version, release, epoch, attribute: 'state', old, new: state, build_id, task_id, owner },
    url: `https://koji.example.org/koji/buildinfo?buildID=${build_id}`,
    task: fedoraTaskInfo(task, owner),
    request: task['request'],
    creation_time: isoTime(build['creation_time']),
    completion_time: isoTime(build['completion_time']),
  };
}

function fedoraTask(task: XmlStruct, old: number, owner: string): Json {
  const [src] = task['request'] as readonly XmlValue[];
  return {
    info: fedoraTaskInfo(task, owner),
    ...{
      method: task['method'],
      attribute: 'state',
      old: TASK_STATES[old],
      new: stateName(task),
      id: task['id'],
      owner,
    },
    srpm: String(src).split('/').at(-1),
  };
}

/** A task with times in whole seconds, names for ids, and nothing of its children or its result. */
function fedoraTaskInfo(task: XmlStruct, owner: string): Json {
  const { completion_ts, create_ts, start_ts, weight, result, ...rest } = task;
  const seconds = (time: XmlValue | undefined) => (time instanceof Double ? Math.floor(time.value) : null);
  return {
    ...rest,
    owner,
    completion_time: seconds(completion_ts),
    create_time: seconds(create_ts),
    start_time: seconds(start_ts),
    host_name: task['host_id'] === null ? null : `builder${task['host_id']}`,
    url: `https://koji.example.org/koji/taskinfo?taskID=${task['id']}`,
    result: null,
    children: [],
  };
}

function isScratchBuild(task: XmlStruct): boolean {
  const [, , opts] = task['request'] as readonly XmlValue[];
  return (
    task['method'] === 'build' &&
    task['parent'] === null &&
    (opts as XmlStruct | undefined)?.['scratch'] === true
  );
}

function isoTime(time: XmlValue | undefined): string | null {
  return typeof time === 'string' ? time.replace(' ', 'T') : null;
}

/** A message id that the same world sends again. */
function uuid({ id, at, kind }: WorldEvent): string {
  return digest(`${id} ${at} ${kind}`).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

// ------------------------------------------------------------------------------------------- protonmsg

function protonMessage(event: WorldEvent, prefix: string): BusMessage {
  const [topic, body] = protonBody(event);
  return {
    routingKey: `${prefix}.${topic}`,
    headers: {},
    properties: { type: 'amqp-1.0' },
    body: amqpValue(json(body)),
  };
}

function protonBody(event: WorldEvent): [string, Json] {
  switch (event.kind) {
    case 'build': {
      const state = Number(event.build['state']);
      const body = { attribute: 'state', old: event.old, new: state, info: event.build, btypes: {} };
      return [`build.${BUILD_STATES[state]?.toLowerCase()}`, body];
    }
    case 'tag':
      return ['build.tag', { tag: event.tag, build: event.build, user: event.user, force: false }];
    case 'untag':
      return [
        'build.untag',
        { tag: event.tag, build: event.build, user: event.user, force: false, strict: true },
      ];
    case 'promote': {
      const { build, draft_release, user } = event;
      const target_release = build['release'] ?? null;
      return ['build.promote', { build, draft_release, target_release, user }];
    }
    case 'task': {
      const old = event.old === null ? null : (TASK_STATES[event.old] ?? null);
      const info = event.old === null ? newTask(event.task) : event.task;
      const body = { attribute: 'state', old, new: stateName(event.task), info };
      return [`task.${stateName(event.task).toLowerCase()}`, body];
    }
    case 'repo-init': {
      const { id: repo_id, task_id, opts } = event.repo;
      return ['repo.init', { tag: event.tag, event: null, repo_id, task_id, opts }];
    }
    case 'repo-done':
      return ['repo.done', { repo: event.repo, data: {}, expire: false, task_id: null }];
  }
}

/** A task that was just made: few columns, and the request still as XML. */
function newTask(task: XmlStruct): Json {
  const { priority, arch, owner, label, parent, channel_id, method, id } = task;
  const request = encodeCall(String(method), task['request'] as readonly XmlValue[]);
  const channel = method === 'newRepo' ? 'createrepo' : undefined;
  return { priority, arch, owner, label, parent, channel, channel_id, request, state: TASK.FREE, method, id };
}

function stateName(task: XmlStruct): string {
  return TASK_STATES[Number(task['state'])] ?? '';
}

/** A string as the body of an AMQP 1.0 message: section `amqp-value`, then its type, length and bytes. */
function amqpValue(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  const short = bytes.length < 256;
  const length = Buffer.alloc(short ? 1 : 4);
  if (short) length.writeUInt8(bytes.length);
  else length.writeUInt32BE(bytes.length);
  return Buffer.concat([Buffer.from([0x00, 0x53, 0x77, short ? 0xa1 : 0xb1]), length, bytes]);
}
