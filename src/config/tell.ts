/** The tables of what is told to others: their keys, what each may be, and what goes without saying. */
import { z } from 'zod';
import {
  describeNotices,
  filesAt,
  headerFiles,
  type MailSettings,
  type mail,
  mailSettings,
  type NoticeSettings,
  noticeSettings,
  type notices,
} from './notice.ts';
import { choice, duration, httpUrl, matching, nonEmpty, url } from './values.ts';

/** What CI messages may call a test, by their specification. */
const CATEGORIES = [
  'functional',
  'integration',
  'interoperability',
  'performance',
  'static-analysis',
  'system',
  'validation',
] as const;

const words = matching(/^[\w-]+(\.[\w-]+)*$/, 'words of letters, digits and -_ with dots between them');
const email = matching(/^[^\s@<>,;:"()]+@[^\s@<>,;:"()]+$/, 'an e-mail address');

const contact = z.strictObject(
  {
    name: nonEmpty.default('kmod-gate'),
    team: nonEmpty,
    docs: httpUrl,
    email,
    url: httpUrl.optional(),
    irc: nonEmpty.optional(),
  },
  { error: 'a table with team, docs and email' },
);

/** What all that is told has in common. */
export const tell = z.strictObject(
  { dashboard: httpUrl.optional(), give_up: duration.prefault('7d') },
  { error: 'a [tell] table' },
);

/** CI messages on the bus. */
export const messages = z.strictObject(
  {
    url: url('an amqp:// or amqps:// URL', 'amqp:', 'amqps:').optional(),
    plaintext: z.boolean({ error: 'true or false' }).optional(),
    exchange: nonEmpty.optional(),
    topic: words.default('org.centos.prod.ci'),
    namespace: words.default('kmod-gate.koji-build'),
    category: choice(...CATEGORIES).default('validation'),
    kmods: z.boolean({ error: 'true or false' }).default(true),
    contact,
  },
  { error: 'a [messages] table with a contact' },
);

/** Where results go. */
export const resultsdb = z.strictObject(
  {
    url: httpUrl,
    api: choice('v2.0', 'v3').default('v2.0'),
    namespace: words.default('kmod-gate.koji-build'),
    category: choice(...CATEGORIES).default('validation'),
    kmods: z.boolean({ error: 'true or false' }).default(true),
    progress: z.boolean({ error: 'true or false' }).default(true),
    header_files: headerFiles,
    timeout: duration.prefault('30s'),
    contact: contact.optional(),
  },
  { error: 'a [resultsdb] table with a url' },
);

/** What all that is told has in common. Durations in ms. */
export interface TellSettings {
  /** Where people reach the dashboard, for links; without a slash at the end. */
  readonly dashboard?: string;
  /** What could not be told for so long is given up. */
  readonly giveUp: number;
}

/** Who answers questions about a CI message. */
export type Contact = Readonly<z.infer<typeof messages>['contact']>;

/** Where results go. */
export interface ResultsdbSettings {
  /** Without `api/…`. */
  readonly url: string;
  readonly api: 'v2.0' | 'v3';
  /** Testcases are called `NAMESPACE.GATE.CATEGORY`. */
  readonly namespace: string;
  readonly category: string;
  /** A result of each kmod, too. */
  readonly kmods: boolean;
  /** QUEUED, RUNNING and ERROR, too. */
  readonly progress: boolean;
  readonly header_files: Readonly<Record<string, string>>;
  /** ms */
  readonly timeout: number;
  /** With `api` v3 it is there. */
  readonly contact?: Contact;
}

/** CI messages on the bus. */
export interface MessageSettings {
  /** A broker of its own; absent: that of [bus], reached as that says. */
  readonly url?: string;
  readonly exchange: string;
  /** Before `.koji-build.test.…`. */
  readonly topic: string;
  /** Testcases are called `NAMESPACE.GATE.CATEGORY`. */
  readonly namespace: string;
  readonly category: string;
  /** Whether each kmod has a message of its own, beside the kernel's. */
  readonly kmods: boolean;
  readonly contact: Contact;
}

/** All that is told to others. */
export interface Telling {
  /** Absent: as where nothing is said. */
  readonly tell?: TellSettings;
  /** Without it no CI messages are sent. */
  readonly messages?: MessageSettings;
  /** Without it no results go to ResultsDB. */
  readonly resultsdb?: ResultsdbSettings;
  /** There where any notice is mailed. */
  readonly mail?: MailSettings;
  readonly notices?: readonly NoticeSettings[];
}

/** The tables as they stand in the file. */
interface Tables {
  readonly tell?: z.infer<typeof tell> | undefined;
  readonly messages?: z.infer<typeof messages> | undefined;
  readonly resultsdb?: z.infer<typeof resultsdb> | undefined;
  readonly mail?: z.infer<typeof mail> | undefined;
  readonly notice?: z.infer<typeof notices> | undefined;
}

/** What the tables come to, defaults filled in. */
export function telling(
  { tell, messages, resultsdb, mail, notice }: Tables,
  bus: Exchange | undefined,
  env: NodeJS.ProcessEnv,
): Telling {
  return {
    ...(tell && { tell: tellSettings(tell) }),
    ...(messages && { messages: messageSettings(messages, bus) }),
    ...(resultsdb && { resultsdb: resultsdbSettings(resultsdb, env) }),
    ...(mail && { mail: mailSettings(mail, env) }),
    ...(notice && { notices: notice.map((one) => noticeSettings(one, env)) }),
  };
}

function tellSettings({ dashboard, give_up: giveUp }: z.infer<typeof tell>): TellSettings {
  return { ...(dashboard !== undefined && { dashboard: dashboard.replace(/\/+$/, '') }), giveUp };
}

/** Where nothing is said. */
export const TELL: TellSettings = tellSettings(tell.parse({}));

/** @param bus says where messages go unless they have a broker of their own */
function messageSettings(
  { url, exchange, plaintext: _, ...rest }: z.infer<typeof messages>,
  bus: Exchange | undefined,
): MessageSettings {
  if (url === undefined) return { ...rest, exchange: exchange ?? bus?.exchange ?? 'amq.topic' };
  return { ...rest, url, exchange: exchange ?? 'amq.topic' };
}

interface Exchange {
  readonly exchange: string;
}

function resultsdbSettings(
  { header_files, contact, ...rest }: z.infer<typeof resultsdb>,
  env: NodeJS.ProcessEnv,
): ResultsdbSettings {
  return { ...rest, header_files: filesAt(header_files, env), ...(contact && { contact }) };
}

/** What of it was understood, for people: keys and values. */
export function describeTelling(
  { tell = TELL, messages, resultsdb, mail, notices = [] }: Telling,
  mask: (url: string) => string,
): [string, string][] {
  const rows: [string, string][] = [];
  if (tell.dashboard !== undefined) rows.push(['dashboard', `${mask(tell.dashboard)}, for links`]);
  if (messages) {
    const { url, exchange, topic, namespace, category, kmods } = messages;
    const each = kmods ? ', of each kmod too' : '';
    rows.push([
      'messages',
      `${url === undefined ? 'to [bus]' : mask(url)}, exchange ${exchange}, topics ${topic}.koji-build.test.*, testcases ${namespace}.GATE.${category}${each}`,
    ]);
  }
  if (resultsdb) {
    const { url, api, namespace, category, kmods } = resultsdb;
    const each = kmods ? ', of each kmod too' : '';
    rows.push(['resultsdb', `${mask(url)}, API ${api}, testcases ${namespace}.GATE.${category}${each}`]);
  }
  return [...rows, ...describeNotices(mail, notices, mask)];
}
