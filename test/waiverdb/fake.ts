/**
 * A WaiverDB in memory on a socket, with what of its API is used: records are only added, lists come in pages of which the
 * newest is first, and writes want a bearer token. After release-engineering/waiverdb (waiverdb/api_v1.py, utils.py).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeRecord {
  readonly id: number;
  readonly subject_type: string;
  readonly subject_identifier: string;
  readonly subject: { readonly type: string; readonly item: string };
  readonly testcase: string;
  readonly scenario: string | null;
  readonly product_version: string;
  readonly waived: boolean;
  readonly comment: string | null;
  readonly username: string;
  readonly proxied_by: string | null;
  readonly timestamp: string;
}

/** `lost`: it is done, and the reply never comes. `down`: a proxy answers. `page`: an answer that is no JSON. */
export type Fault = 'none' | 'lost' | 'hangs' | 'down' | 'page';

export interface FakeWaiverDb {
  /** Of its API. */
  readonly url: string;
  readonly records: FakeRecord[];
  /** Requests as they came, such as `GET /waivers/?page=1`. */
  readonly requests: string[];
  /** What it says of itself; undefined: nothing. */
  about: { version: string; auth_method: string } | undefined;
  /** What is sent in place of records of a list. */
  garble: (record: FakeRecord) => unknown;
  /** What goes wrong, by method. */
  fault: (method: string) => Fault;
  /** Somebody gives a waiver by other means. */
  give(record: Partial<FakeRecord> & Pick<FakeRecord, 'subject_identifier'>): FakeRecord;
  close(): Promise<void>;
}

/** Who has which token, and who may speak for others. */
const USERS: Readonly<Record<string, string>> = { 'gate-token': 'kmod-gate', 'ada-token': 'ada' };
const SUPERUSERS = ['kmod-gate'];
const PATH = '/api/v1.0';

export async function serveFake(now: () => number = Date.now): Promise<FakeWaiverDb> {
  const records: FakeRecord[] = [];
  const requests: string[] = [];
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => send(response, 500, { message: String(error) }));
  });
  const fake: FakeWaiverDb = {
    url: '',
    records,
    requests,
    about: { version: '3.2.0', auth_method: 'OIDC' },
    garble: (record) => record,
    fault: () => 'none',
    give(said) {
      const record: FakeRecord = {
        id: records.length + 1,
        subject_type: 'koji_build',
        subject: { type: 'koji_build', item: said.subject_identifier },
        testcase: 'kmod-gate.c9s',
        scenario: null,
        product_version: 'el-9',
        waived: true,
        comment: 'it is known',
        username: 'ada',
        proxied_by: null,
        // As naive UTC, with microseconds.
        timestamp: new Date(now()).toISOString().replace('Z', '000'),
        ...said,
      };
      records.push(record);
      return record;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = request;
    requests.push(`${method} ${url.slice(PATH.length)}`);
    const fault = fake.fault(method);
    if (fault === 'down') return sendText(response, 502, 'text/html', '<h1>Bad Gateway</h1>');
    if (fault === 'page') return sendText(response, 200, 'text/html', '<h1>Welcome</h1>');
    const { pathname, searchParams } = new URL(url, 'http://fake');
    if (pathname === `${PATH}/about` && fake.about) return send(response, 200, fake.about);
    if (pathname !== `${PATH}/waivers/`) return send(response, 404, { message: 'no such page' });
    if (method === 'GET') return send(response, 200, list(searchParams, `http://${request.headers.host}`));
    const made = create(JSON.parse(await body(request)), request.headers.authorization);
    if (fault === 'lost') return void request.socket.destroy();
    if (fault === 'hangs') return;
    return send(response, made.status, made.body);
  }

  function list(query: URLSearchParams, origin: string) {
    const wanted = [
      'subject_type',
      'subject_identifier',
      'testcase',
      'scenario',
      'product_version',
      'username',
    ];
    const matching = records.filter((record) =>
      wanted.every((key) => !query.get(key) || Reflect.get(record, key) === query.get(key)),
    );
    const all = query.get('include_obsolete') === 'true' ? matching : matching.filter(isNewest);
    const sorted = all.toSorted((a, b) => b.timestamp.localeCompare(a.timestamp) || b.id - a.id);
    const [number, limit] = [Number(query.get('page') ?? 1), Number(query.get('limit') ?? 10)];
    const pages = Math.ceil(sorted.length / limit);
    const data = sorted.slice((number - 1) * limit, number * limit).map((record) => fake.garble(record));
    if (data.length === 0 && number > 1) return { data, prev: null, next: null, first: null, last: null };
    const pageUrl = (page: number) => {
      const other = new URLSearchParams(query);
      other.set('page', String(page));
      return `${origin}${PATH}/waivers/?${other}`;
    };
    return {
      data,
      prev: number > 1 ? pageUrl(number - 1) : null,
      next: number < pages ? pageUrl(number + 1) : null,
      first: pageUrl(1),
      last: pageUrl(pages),
    };
  }

  /** A record is obsolete once there is a newer one of the same, by the same user. */
  const isNewest = (record: FakeRecord): boolean =>
    !records.some(
      (newer) =>
        newer.id > record.id &&
        (
          [
            'subject_type',
            'subject_identifier',
            'testcase',
            'scenario',
            'username',
            'product_version',
          ] as const
        ).every((key) => newer[key] === record[key]),
    );

  function create(said: Record<string, unknown>, authorization = ''): { status: number; body: unknown } {
    const user = USERS[authorization.replace(/^Bearer /, '')];
    if (!user) return { status: 401, body: { message: 'Authentication failed' } };
    const { username, comment, testcase, waived = true, scenario = null } = said;
    const missing = ['product_version', 'comment', 'testcase', 'subject_type', 'subject_identifier'].find(
      (key) => typeof said[key] !== 'string' || said[key] === '',
    );
    if (missing) {
      const error = { loc: [missing], msg: 'Field required', type: 'missing' };
      return { status: 400, body: { validation_error: [error] } };
    }
    if (username !== undefined && !SUPERUSERS.includes(user))
      return { status: 403, body: { message: `user ${user} does not have the proxyuser ability` } };
    const record = fake.give({
      ...{ subject_identifier: String(said['subject_identifier']), testcase: String(testcase) },
      ...{ product_version: String(said['product_version']), comment: String(comment) },
      ...{ waived: waived === true, scenario: scenario === null ? null : String(scenario) },
      username: username === undefined ? user : String(username),
      proxied_by: username === undefined ? null : user,
    });
    return { status: 201, body: record };
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  Object.assign(fake, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}` });
  return fake;
}

async function body(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

const send = (response: ServerResponse, status: number, content: unknown): void =>
  sendText(response, status, 'application/json', JSON.stringify(content));

const sendText = (response: ServerResponse, status: number, type: string, content: string): void =>
  void response.writeHead(status, { 'Content-Type': type }).end(content);
