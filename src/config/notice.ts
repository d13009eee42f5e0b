/** The tables of notices to people: their keys, what each may be, and what goes without saying. */
import { z } from 'zod';
import type { QuietTime } from '../core/model.ts';
import { expandHome } from './home.ts';
import { choice, duration, httpUrl, list, matching, nonEmpty, quietTime, textRead, url } from './values.ts';

/** What a template of a webhook may hold in braces. */
export const PLACEHOLDERS = [
  'id',
  'title',
  'text',
  'markdown',
  'slack',
  'html',
  'jira',
  'gate',
  'kernel',
  'verdict',
  'url',
  'kmods',
  'owner',
] as const;

const ADDRESS = /^[^\s@<>,;:"'()[\]\\\p{Cc}]+@[A-Za-z0-9.-]+$/u;
/** Whether it is one address, and nothing that a mail's header would take for more. */
export const isAddress = (text: string): boolean => ADDRESS.test(text) && text.length <= 254;

const address = matching(ADDRESS, 'an e-mail address, such as "kernel@example.org"');
const file = matching(/./, 'the path of a file that holds it');
const flag = z.boolean({ error: 'true or false' });
const domain = matching(/^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/, 'a domain, such as "example.org"');
const headers = z.record(
  matching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'the name of a header'),
  matching(/^[\x20-\x7e]*$/, 'a text on one line'),
  { error: 'a table of headers' },
);

/** Headers of requests whose values are secrets. */
export const headerFiles = z.record(z.string(), file, { error: 'a table of headers and files' }).default({});

/** How mail is sent. */
export const mail = z.strictObject(
  {
    smtp: url('an smtp:// or smtps:// URL, such as "smtp://mail.example.org:587"', 'smtp:', 'smtps:'),
    user: nonEmpty.optional(),
    password_file: file.optional(),
    plaintext: flag.default(false),
    from: address,
    name: matching(/^[^\p{Cc}]+$/u, 'a name on one line').default('kmod-gate'),
    timeout: duration.prefault('30s'),
  },
  { error: 'a [mail] table with smtp and from' },
);

const BODY = 'a table: a JSON object with {placeholders} in its texts';
const webhook = z.strictObject(
  {
    url: httpUrl.optional(),
    url_file: file.optional(),
    method: choice('POST', 'PUT').default('POST'),
    body: z.record(z.string(), z.unknown(), { error: BODY }).optional(),
    secret_file: file.optional(),
    headers: headers.default({}),
    header_files: headerFiles,
    timeout: duration.prefault('30s'),
  },
  { error: 'a [notice.webhook] table' },
);

/** Addresses of owners, by their Koji name or by a pattern of packages. Empty: nobody is told. */
const addresses = z
  .record(
    nonEmpty,
    textRead('an e-mail address, or "" for nobody', (text) =>
      text === '' || isAddress(text) ? text : undefined,
    ),
    { error: 'a table of names, each with an e-mail address' },
  )
  .default({});

const OUTCOMES = ['broken', 'unattributed', 'inconclusive', 'already-broken'] as const;

export const notice = z.strictObject(
  {
    name: matching(/^[\w.+-]+$/, 'a name of letters, digits and -_.+'),
    about: choice('kernel', 'kmods').default('kernel'),
    gates: list(nonEmpty, 'a list of gates, or of patterns of their names').default(['*']),
    on: list(choice('block', 'hold', 'promote', 'mended'), 'a list of "block", "hold", "promote", "mended"')
      .min(1, { error: 'one of "block", "hold", "promote", "mended" or more' })
      .default(['block', 'hold', 'mended']),
    outcomes: list(choice(...OUTCOMES), 'a list of outcomes')
      .min(1, { error: 'one outcome or more, such as "broken"' })
      .default(['broken', 'unattributed']),
    gather: duration.prefault('2m'),
    quiet: list(quietTime, 'a list of quiet times')
      .default([])
      .transform((times) => times.flat()),
    mail: list(address, 'a list of e-mail addresses').default([]),
    owners: flag.default(false),
    owner_domain: domain.optional(),
    addresses,
    webhook: webhook.optional(),
  },
  { error: 'a [[notice]] table' },
);
export const notices = z.array(notice, { error: 'one [[notice]] table or more, in double brackets' });

/** How mail is sent. */
export interface MailSettings {
  readonly host: string;
  readonly port: number;
  /** TLS from the start; else STARTTLS where the server has it, and always before a password. */
  readonly secure: boolean;
  readonly user?: string;
  readonly password_file?: string;
  /** A password may go without TLS. */
  readonly plaintext: boolean;
  readonly from: string;
  readonly name: string;
  /** Of one step, ms. */
  readonly timeout: number;
}

export interface WebhookSettings {
  /** One of the two is there. */
  readonly url?: string;
  readonly url_file?: string;
  readonly method: 'POST' | 'PUT';
  /** Absent: all of the notice, as JSON. */
  readonly body?: Readonly<Record<string, unknown>>;
  readonly secret_file?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly header_files: Readonly<Record<string, string>>;
  /** ms */
  readonly timeout: number;
}

/** Who is told of what. */
export interface NoticeSettings {
  readonly name: string;
  /** The kernel as a whole, or each kmod that it breaks, and only that. */
  readonly about: 'kernel' | 'kmods';
  /** Patterns. */
  readonly gates: readonly string[];
  readonly on: readonly ('block' | 'hold' | 'promote' | 'mended')[];
  /** Of which kmods is told, with `about` kmods. */
  readonly outcomes: readonly (typeof OUTCOMES)[number][];
  /** ms */
  readonly gather: number;
  readonly quiet: readonly QuietTime[];
  readonly mail: readonly string[];
  /** Whom Koji has as the package's owner, too. */
  readonly owners: boolean;
  readonly owner_domain?: string;
  readonly addresses: Readonly<Record<string, string>>;
  readonly webhook?: WebhookSettings;
}

type Optional<T> = { [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> } & {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
};

/** Without members that are undefined. */
const present = <T extends object>(of: T): Optional<T> =>
  Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as Optional<T>;

export function mailSettings(
  { smtp, password_file, ...rest }: z.infer<typeof mail>,
  env: NodeJS.ProcessEnv,
): MailSettings {
  const { protocol, hostname, port } = new URL(smtp);
  const secure = protocol === 'smtps:';
  return present({
    ...rest,
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || (secure ? 465 : 25)),
    secure,
    password_file: password_file === undefined ? undefined : expandHome(password_file, env),
  });
}

/** Paths with `~` spelled out. */
export const filesAt = (files: Readonly<Record<string, string>>, env: NodeJS.ProcessEnv) =>
  Object.fromEntries(Object.entries(files).map(([name, path]) => [name, expandHome(path, env)]));

export function noticeSettings(
  { webhook, ...rest }: z.infer<typeof notice>,
  env: NodeJS.ProcessEnv,
): NoticeSettings {
  const at = (path: string | undefined) => (path === undefined ? undefined : expandHome(path, env));
  return present({
    ...rest,
    webhook:
      webhook &&
      present({
        ...webhook,
        url_file: at(webhook.url_file),
        secret_file: at(webhook.secret_file),
        header_files: filesAt(webhook.header_files, env),
      }),
  });
}

/** What of it was understood, for people: keys and values. */
export function describeNotices(
  mail: MailSettings | undefined,
  notices: readonly NoticeSettings[],
  mask: (url: string) => string,
): [string, string][] {
  const rows: [string, string][] = [];
  if (mail) {
    const login = mail.user === undefined ? '' : `, as ${mail.user}, password ***`;
    rows.push([
      'mail',
      `${mail.secure ? 'smtps' : 'smtp'}://${mail.host}:${mail.port}${login}, from ${mail.from}`,
    ]);
  }
  for (const { name, about, gates, on, outcomes, mail: to, owners, webhook } of notices) {
    const whom = [
      ...to,
      ...(owners ? ['owners as Koji has them'] : []),
      ...(webhook ? [`${webhook.method} ${webhook.url === undefined ? '***' : mask(webhook.url)}`] : []),
    ];
    const of =
      about === 'kernel' ? `the kernel, on ${on.join(', ')}` : `each kmod that is ${outcomes.join(', ')}`;
    rows.push([`notice ${name}`, `of ${of}; gates ${gates.join(' ')}; to ${whom.join(', ')}`]);
  }
  return rows;
}
