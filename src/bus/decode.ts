/** What a message is worth: hints of where to look. Pure; nothing but ids and names is taken from a message. */
import { z } from 'zod';
import type { Hint } from '../core/model.ts';
import type { BusMessage } from './message.ts';

/** A decoded message. `family` and `why` come from a small fixed set of texts, so they can be counted and logged once. */
export type Decoded =
  | { readonly kind: 'hints'; readonly hints: readonly Hint[] }
  | { readonly kind: 'ignored'; readonly why: string }
  | { readonly kind: 'undecodable'; readonly family: string; readonly why: string };

type Reader = z.ZodType<readonly Hint[]>;

/** Larger bodies are not looked into. Koji's largest, a build with all its rpms, stay far below. */
const LARGEST_BODY = 16 * 1024 * 1024;

const id = z.int().positive();
/** Koji refuses names longer than 256 (its MaxNameLengthInternal). */
const tagName = z.string().min(1).max(256);

const build = (id: number): Hint => ({ kind: 'build', id });
const task = (id: number): Hint => ({ kind: 'task', id });
const tag = (name: string): Hint => ({ kind: 'tag', name });

/** A task that ended, and the task that waits for it. */
const endedTask = (id: number, parent: number | null | undefined): Hint[] =>
  parent ? [task(id), task(parent)] : [task(id)];
const parentInfo = z.object({ parent: id.nullish().catch(null) });
const ENDED: readonly string[] = ['CLOSED', 'CANCELED', 'FAILED'];

const fedoraTagged = z
  .object({ build_id: id, tag: tagName })
  .transform((body) => [build(body.build_id), tag(body.tag)]);

/** koji-fedoramessaging, by what follows `PREFIX.buildsys.`. */
const FEDORA: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['build.state.change', z.object({ build_id: id }).transform((body) => [build(body.build_id)])],
  ['tag', fedoraTagged],
  ['untag', fedoraTagged],
  ['repo.done', z.object({ tag: tagName }).transform((body) => [tag(body.tag)])],
  [
    'task.state.change',
    z
      .object({ id, new: z.string(), info: parentInfo.optional() })
      .transform((body) => (ENDED.includes(body.new) ? endedTask(body.id, body.info?.parent) : [])),
  ],
]);

const protonBuild = z.object({ info: z.object({ id }) }).transform((body) => [build(body.info.id)]);
const protonTagged = z
  .object({ build: z.object({ id }), tag: z.object({ name: tagName }) })
  .transform((body) => [build(body.build.id), tag(body.tag.name)]);
const protonTask = z
  .object({ info: parentInfo.extend({ id }) })
  .transform((body) => endedTask(body.info.id, body.info.parent));

/** Koji's own protonmsg, by the last two words; Brew's VirtualTopic.eng.brew.* are the same. */
const PROTON: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['build.building', protonBuild],
  ['build.complete', protonBuild],
  ['build.deleted', protonBuild],
  ['build.failed', protonBuild],
  ['build.canceled', protonBuild],
  ['build.promote', z.object({ build: z.object({ id }) }).transform((body) => [build(body.build.id)])],
  ['build.tag', protonTagged],
  ['build.untag', protonTagged],
  [
    'repo.done',
    z.object({ repo: z.object({ tag_name: tagName }) }).transform((body) => [tag(body.repo.tag_name)]),
  ],
  ['task.closed', protonTask],
  ['task.canceled', protonTask],
  ['task.failed', protonTask],
]);

/** `PREFIX.buildsys.SUBJECT`, or `PREFIX.SUBJECT` where the subject is two words that begin as protonmsg's do. */
const KOJI_TOPIC =
  /(?:^|\.)(?:buildsys\.(?<fedora>.+)|(?<proton>(?:build|task|repo|package|import|sign)\.[a-z]+))$/;

/** Whether a routing key, or an address, names what Koji tells of. */
export const isKojiTopic = (name: string): boolean => KOJI_TOPIC.test(name);

/** A message that says nothing but that a tag changed, as CBS sends under a topic of its operator's choice. */
const tagOnly = z.object({ tag: tagName }).transform((body) => [tag(body.tag)]);

/**
 * Decodes a message of any known family, told apart by the words that end the routing key and by the
 * body's shape; a configured prefix plays no part.
 * Never throws: what cannot be understood is `undecodable`, what is of no use to a gate is `ignored`.
 */
export function decode(message: BusMessage): Decoded {
  const topic = KOJI_TOPIC.exec(message.routingKey)?.groups;
  if (topic?.['fedora'] !== undefined)
    return readKnown('koji-fedoramessaging', topic['fedora'], FEDORA, message.body);
  if (topic?.['proton'] !== undefined) return readKnown('protonmsg', topic['proton'], PROTON, message.body);
  const named = tagOnly.safeParse(parseBody(message.body).json);
  return named.success
    ? { kind: 'hints', hints: named.data }
    : { kind: 'ignored', why: 'not a topic of Koji, and the body names no tag' };
}

function readKnown(
  family: string,
  subject: string,
  readers: ReadonlyMap<string, Reader>,
  body: Uint8Array,
): Decoded {
  const reader = readers.get(subject);
  if (reader === undefined) return { kind: 'ignored', why: 'a topic that no gate acts on' };
  const { json, error } = parseBody(body);
  if (error !== undefined) return { kind: 'undecodable', family, why: error };
  const read = reader.safeParse(json);
  if (!read.success) return { kind: 'undecodable', family, why: `${subject}: ${firstIssue(read.error)}` };
  if (read.data.length === 0) return { kind: 'ignored', why: 'a task that has not ended' };
  return { kind: 'hints', hints: read.data };
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? error.message : `${['body', ...issue.path].join('.')}: ${issue.message}`;
}

/** The JSON of a body, which may be wrapped in an AMQP 1.0 section, or what is wrong with it. */
function parseBody(body: Uint8Array): { json?: unknown; error?: string } {
  if (body.length > LARGEST_BODY) return { error: `the body is larger than ${LARGEST_BODY} bytes` };
  const text = isSection(body) ? sectionContent(body) : body;
  if (text === undefined)
    return { error: 'the body is not one whole AMQP 1.0 section that holds a string or binary' };
  try {
    return { json: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)) };
  } catch {
    // The parser's own words quote the body: another text for each message.
    return { error: 'the body is not JSON in UTF-8' };
  }
}

/** AMQP 1.0 marks a described type, such as a section, with a first byte 00; no JSON begins so. */
function isSection(body: Uint8Array): boolean {
  return body[0] === 0x00;
}

/** Section codes and the encodings they may hold here: [code, encoding with 1 length byte, with 4]. */
const AMQP_VALUE_STRING = [0x77, 0xa1, 0xb1] as const;
const DATA_BINARY = [0x75, 0xa0, 0xb0] as const;

/**
 * Content of a body that is one AMQP 1.0 section (OASIS AMQP 1.0, 1.6 and 3.2): `00 53 77` and a
 * string, or `00 53 75` and a binary. Undefined for anything else, cut short or with bytes to spare.
 */
function sectionContent(body: Uint8Array): Uint8Array | undefined {
  const section = [AMQP_VALUE_STRING, DATA_BINARY].find(([code]) => body[1] === 0x53 && body[2] === code);
  if (section === undefined || body.length < 5) return undefined;
  const [, short, long] = section;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  if (body[3] === short && 5 + view.getUint8(4) === body.length) return body.subarray(5);
  if (body[3] === long && body.length >= 8 && 8 + view.getUint32(4) === body.length) return body.subarray(8);
  return undefined;
}
