import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { configCheck, fileMeant } from '../../src/commands/config.ts';
import { parseSince, parseUntil } from '../../src/commands/dates.ts';
import {
  ConfigError,
  describeConfig,
  formatMistakes,
  loadConfig,
  parseConfig,
} from '../../src/config/config.ts';
import { formatDuration, parseDuration } from '../../src/config/schema.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';

const EXAMPLE = fileURLToPath(new URL('../../config/kmod-gate.toml', import.meta.url));
const TEN_MISTAKES = fileURLToPath(new URL('ten-mistakes.toml', import.meta.url));

/** A gate with nothing left out that has no default. */
const SMALL = `
[koji]
server = "https://koji.example.org/kojihub"
[store]
url = "sqlite::memory:"
[[gate]]
name = "c9s"
kernels = ["kernel"]
watch = "c9s-gate"
[gate.kmods]
tag = "kmods9s-release"
[gate.build]
target = "kmods9s-gate"
[gate.on_pass]
tag = ["c9s-candidate"]
[gate.on_fail]
tag = ["c9s-blocked"]
`;

const GATE = SMALL.slice(SMALL.indexOf('[[gate]]'));
const ENDS = SMALL.slice(SMALL.indexOf('[gate.on_pass]'));

/** SMALL with one text in it replaced. */
function edited(from: string, to: string): string {
  expect(SMALL).toContain(from);
  return SMALL.replace(from, () => to);
}

const parse = (text: string, env: NodeJS.ProcessEnv = {}) => parseConfig(text, 'gate.toml', env, []);

function errorOf(text: string): ConfigError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('this configuration was accepted');
}

/** Mistakes as shown, with the text of their line in place of its number. */
function mistakesOf(text: string): string[] {
  const lines = text.split('\n');
  return errorOf(text).mistakes.map(({ path, line, message }) =>
    [line === undefined ? '-' : lines[line - 1], path, message].join(' | '),
  );
}

describe('a valid file', () => {
  it('takes its defaults', () => {
    expect(parse(SMALL)).toEqual({
      koji: { server: 'https://koji.example.org/kojihub', authtype: 'noauth', timeout: 60_000 },
      longestWaivers: { c9s: 90 * 86_400_000 },
      stopWithin: 20_000,
      store: { url: 'sqlite::memory:', keep: 15_552_000_000 },
      sweep: { every: 300_000, poll: 30_000, settle: 60_000 },
      gates: [
        {
          name: 'c9s',
          kernels: ['kernel'],
          watch: 'c9s-gate',
          mode: 'enforce',
          strategy: 'rebuild',
          variant: '',
          stablelist: null,
          kmods: { tag: 'kmods9s-release', include: ['*'], exclude: [], advisory: [], arches: {} },
          arches: null,
          baseline: null,
          policy: DEFAULT_POLICY,
          rebuild: null,
          build: { target: 'kmods9s-gate', repo: 'wait', priority: 5, max_active: 20 },
          on_pass: { tag: ['c9s-candidate'], untag: [] },
          on_fail: { tag: ['c9s-blocked'], untag: [] },
        },
      ],
    });
  });

  it('may be the example, which says the defaults that it documents', () => {
    const config = loadConfig(EXAMPLE, {});
    const withDefaults = parse(`${SMALL}[bus]\nurl = "amqp://guest:guest@127.0.0.1:5672"`);
    expect(config.bus).toEqual(withDefaults.bus);
    expect(config.sweep).toEqual(withDefaults.sweep);
    expect(config.gates[0]?.build).toEqual(withDefaults.gates[0]?.build);
    expect(config.gates[0]?.policy).toEqual(DEFAULT_POLICY);
    expect(config.http).toEqual({ host: '127.0.0.1', port: 8642 });
    expect(config.koji).toEqual({
      server: 'https://koji.example.org/kojihub',
      weburl: 'https://koji.example.org/koji',
      authtype: 'password',
      user: 'kmod-gate',
      password: 'change-me',
      timeout: 60_000,
    });
  });

  it('may listen on an IPv6 address', () => {
    expect(parse(`${SMALL}[http]\nlisten = "[::1]:8642"`).http).toEqual({ host: '::1', port: 8642 });
    const own = parse(`${SMALL}[http]\nlisten = "[::1]:8642"\nmetrics = "[::]:9642"`);
    const pages = { host: '::1', port: 8642 };
    expect(own.http).toEqual({ ...pages, metrics: { host: '::', port: 9642 } });
    expect(describeConfig(own)).toContain('http       [::1]:8642, /metrics at [::]:9642');
    const none = parse(`${SMALL}[http]\nlisten = "[::1]:8642"\nmetrics = false`);
    expect(none.http).toEqual({ ...pages, metrics: false });
    expect(describeConfig(none)).toContain('http       [::1]:8642, no /metrics');
  });

  it('may have a file of tokens, and want one of readers too', () => {
    const closed = `${SMALL}[http]\nlisten = "[::1]:0"\ntokens = "~/tokens"\nread = "token"`;
    const config = parseConfig(closed, 'gate.toml', { HOME: '/home/ada' }, []);
    expect(config.http).toEqual({ host: '::1', port: 0, tokens: '/home/ada/tokens', closed: true });
    expect(describeConfig(config)).toContain(
      'http       [::1]:0, who has a token of /home/ada/tokens writes by the API, and only they read',
    );
  });

  it('needs nothing to do in observe mode', () => {
    const observing = edited('watch', 'mode = "observe"\nwatch').replace(ENDS, '');
    expect(parse(observing).gates[0]?.on_pass).toEqual({ tag: [], untag: [] });
  });

  it('logs in by password if there is a user, unless told otherwise', () => {
    const login = '[koji]\nuser = "gate"\npassword = "s3cret"\n';
    expect(parse(edited('[koji]\n', login)).koji.authtype).toBe('password');
    expect(parse(edited('[koji]\n', `${login}authtype = "noauth"\n`)).koji.authtype).toBe('noauth');
  });
});

/** Each edit of SMALL makes one mistake: [what, from, to, mistake]. */
const ONE_MISTAKE: [string, string, string, string][] = [
  [
    'unknown key',
    'watch =',
    'wacth = 1\nwatch =',
    'wacth = 1 | gate[0].wacth | unknown key; did you mean "watch"?',
  ],
  [
    'unknown key like no other',
    '[store]',
    '[store]\npool = 4',
    'pool = 4 | store.pool | unknown key; known here: url, password_file, plaintext, keep',
  ],
  ['unknown table', '[store]', '[[gates]]\n[store]', '[[gates]] | gates | unknown key; did you mean "gate"?'],
  ['missing key', 'watch = "c9s-gate"', '', '[[gate]] | gate[0].watch | missing, expected the name of a tag'],
  [
    'missing table',
    '[store]\nurl = "sqlite::memory:"',
    '',
    '- | store | missing, expected a [store] table with a url',
  ],
  [
    'missing table of a gate',
    '[gate.build]\ntarget = "kmods9s-gate"',
    '',
    '[[gate]] | gate[0].build | missing, expected a [gate.build] table with a target',
  ],
  ['wrong type', '"c9s-gate"', '9', 'watch = 9 | gate[0].watch | got 9, expected the name of a tag'],
  [
    'wrong type in a list',
    '["c9s-blocked"]',
    '[\n"a",\n2 ]',
    '2 ] | gate[0].on_fail.tag[1] | got 2, expected the name of a tag',
  ],
  [
    'a text for a list',
    '["c9s-blocked"]',
    '"c9s-blocked"',
    'tag = "c9s-blocked" | gate[0].on_fail.tag | got "c9s-blocked", expected a list of tags',
  ],
  [
    'unknown value',
    'target',
    'repo = "Wiat"\ntarget',
    'repo = "Wiat" | gate[0].build.repo | got "Wiat", expected "wait", "pin", or "sidetag"; did you mean "wait"?',
  ],
  [
    'unknown strategy',
    'watch',
    'strategy = "crystal-ball"\nwatch',
    'strategy = "crystal-ball" | gate[0].strategy | got "crystal-ball", expected "rebuild", "symbols", "symbols-then-rebuild", or "symbols-and-rebuild"',
  ],
  [
    'empty kernels',
    '["kernel"]',
    '[]',
    'kernels = [] | gate[0].kernels | got an empty list, expected one kernel package name or more, such as ["kernel"]',
  ],
  [
    'empty include',
    '[gate.build]',
    'include = []\n[gate.build]',
    'include = [] | gate[0].kmods.include | got an empty list, expected one pattern or more, such as "kmod-*": a gate with no kmods lets nothing pass',
  ],
  [
    'blank tag name',
    '["c9s-blocked"]',
    '["c9s blocked"]',
    'tag = ["c9s blocked"] | gate[0].on_fail.tag[0] | got "c9s blocked", expected the name of a tag',
  ],
  [
    'max_active too small',
    'target',
    'max_active = 0\ntarget',
    'max_active = 0 | gate[0].build.max_active | got 0, expected a whole number from 1 to 10000',
  ],
  [
    'priority no integer',
    'target',
    'priority = 0.5\ntarget',
    'priority = 0.5 | gate[0].build.priority | got 0.5, expected a whole number from -20 to 50',
  ],
  [
    'priority out of range',
    'target',
    'priority = -21\ntarget',
    'priority = -21 | gate[0].build.priority | got -21, expected a whole number from -20 to 50',
  ],
  [
    'single brackets',
    GATE,
    '[gate]\n',
    '[gate] | gate | got a table, expected one [[gate]] table or more, in double brackets',
  ],
  ['no gate', GATE, '', '- | gate | missing, expected one [[gate]] table or more, in double brackets'],
  [
    'a tag in tag and untag',
    '["c9s-blocked"]',
    '["c9s-blocked"]\nuntag = ["c9s-blocked"]',
    'tag = ["c9s-blocked"] | gate[0].on_fail.tag[0] | "c9s-blocked" is in on_fail.untag too: take it out of one of them',
  ],
  [
    'a tag of both ends',
    '["c9s-blocked"]',
    '["a", "c9s-candidate"]',
    'tag = ["a", "c9s-candidate"] | gate[0].on_fail.tag[1] | "c9s-candidate" is in on_pass.tag too: a pass and a fail could not be told apart',
  ],
  [
    'the watched tag',
    '["c9s-candidate"]',
    '["c9s-gate"]',
    'tag = ["c9s-gate"] | gate[0].on_pass.tag[0] | "c9s-gate" is the watched tag: the kernel is in it already',
  ],
  [
    'nothing to do',
    ENDS,
    '',
    '[[gate]] | gate[0] | enforce mode, but neither on_pass nor on_fail names a tag: name one, or set mode = "observe"',
  ],
  [
    'a rebuild that is never known to be needed',
    'tag = ["c9s-candidate"]',
    'rebuild = { target = "kmods9s" }\ntag = ["c9s-candidate"]',
    'rebuild = { target = "kmods9s" } | gate[0].on_pass.rebuild | nothing is known to need a rebuild with this strategy: set strategy = "symbols-then-rebuild"',
  ],
  [
    'a rebuild where the kernel is gone',
    'tag = ["c9s-candidate"]',
    'rebuild = { target = "kmods9s-gate" }\ntag = ["c9s-candidate"]',
    'rebuild = { target = "kmods9s-gate" } | gate[0].on_pass.rebuild.target | "kmods9s-gate" is the target of scratch builds too, where a kernel is gone once it has passed: name one whose build tag sees on_pass.tag',
  ],
  [
    'a quiet time that is none',
    'name = "c9s"',
    'policy.quiet = ["Fri 16:00"]\nname = "c9s"',
    'policy.quiet = ["Fri 16:00"] | gate[0].policy.quiet[0] | got "Fri 16:00", expected a quiet time in UTC, such as "Fri 16:00 - Mon 07:00" or "22:00 - 06:00"',
  ],
  [
    'a longest hold of no unit',
    'name = "c9s"',
    'policy.longest_hold = "7"\nname = "c9s"',
    'policy.longest_hold = "7" | gate[0].policy.longest_hold | got "7", expected a duration in quotes, such as "12h", "3d" or "30d", or "none"',
  ],
  [
    'the same to do',
    ENDS,
    '[gate.on_pass]\nuntag = ["a", "b"]\n[gate.on_fail]\nuntag = ["b", "a"]',
    '[gate.on_fail] | gate[0].on_fail | does the same as on_pass: a pass and a fail could not be told apart; add a tag to one of them',
  ],
  [
    'neither profile nor server',
    'server = "https://koji.example.org/kojihub"',
    '',
    '[koji] | koji | neither profile nor server: give one of them, to say which hub',
  ],
  [
    'a server with no host',
    'https://koji.example.org/kojihub',
    'localhost/kojihub',
    'server = "localhost/kojihub" | koji.server | got "localhost/kojihub", expected an http:// or https:// URL',
  ],
  [
    'a password without a user',
    '[store]',
    'password = "s3cret"\n[store]',
    'password = "s3cret" | koji.password | a password without a user: set user too',
  ],
  [
    'a user without a password',
    '[store]',
    'user = "gate"\n[store]',
    'user = "gate" | koji.user | a user without a password: set password too',
  ],
  [
    'a login without either',
    '[store]',
    'authtype = "password"\n[store]',
    'authtype = "password" | koji.authtype | a login by password: set user and password too',
  ],
  [
    'a login by certificate',
    '[store]',
    'authtype = "ssl"\n[store]',
    'authtype = "ssl" | koji.authtype | a login by certificate: set cert too',
  ],
  [
    'a wish that is no yes or no',
    '[store]',
    'no_ssl_verify = "yes"\n[store]',
    'no_ssl_verify = "yes" | koji.no_ssl_verify | got "yes", expected true or false',
  ],
  [
    'a login of an unknown kind',
    '[store]',
    'authtype = "oidc"\n[store]',
    'authtype = "oidc" | koji.authtype | got "oidc", expected "ssl", "kerberos", "password" or "noauth"',
  ],
  [
    'a duration without a unit',
    '[store]',
    'timeout = 60\n[store]',
    'timeout = 60 | koji.timeout | got 60, expected a duration in quotes, up to 24 days, such as "500ms", "30s", "5m", "2h" or "1d"',
  ],
  [
    'an unknown database',
    'sqlite::memory:',
    'mysql://gate:s3cret@db/gate',
    'url = "mysql://gate:s3cret@db/gate" | store.url | got "mysql://gate:***@db/gate", expected "sqlite:PATH", "sqlite::memory:" or "postgres://USER@HOST/DATABASE"',
  ],
  [
    'a password for a database elsewhere, without TLS',
    'sqlite::memory:',
    'postgres://gate:s3cret@db/gate',
    'url = "postgres://gate:s3cret@db/gate" | store.url | goes to db without TLS, and lets everybody on the way read: add "?sslmode=verify-full", or set plaintext = true where that is meant',
  ],
  [
    'a database without a name',
    'sqlite::memory:',
    'postgres://gate@db',
    'url = "postgres://gate@db" | store.url | names no database: "postgres://USER@HOST/DATABASE"',
  ],
  [
    'a parameter of a database that is not known',
    'sqlite::memory:',
    'postgres://gate@db/gate?sslmod=require',
    'url = "postgres://gate@db/gate?sslmod=require" | store.url | has sslmod=…; known here: host, options, sslmode, sslrootcert, sslcert, sslkey',
  ],
  ...['"12h"', '"never"', '"0"', '180', '"99999999999d"'].map((keep): [string, string, string, string] => [
    `keep = ${keep}`,
    '[store]',
    `[store]\nkeep = ${keep}`,
    `keep = ${keep} | store.keep | got ${keep}, expected a duration of a day or more in quotes, such as "180d", or "forever"`,
  ]),
  [
    'a wrong bus',
    '[store]',
    '[bus]\nurl = "http://mq"\n[store]',
    'url = "http://mq" | bus.url | got "http://mq", expected an amqp:// or amqps:// URL',
  ],
  [
    'a password over http:// to another host',
    'server = "https://koji.example.org/kojihub"',
    'server = "http://koji.example.org/kojihub"\nuser = "gate"\npassword = "s3cret"',
    'server = "http://koji.example.org/kojihub" | koji.server | http:// to koji.example.org lets everybody on the way read the password: use https://, or set plaintext = true where that is meant',
  ],
  [
    'a password over amqp:// to another host',
    '[store]',
    '[bus]\nurl = "amqp://gate:s3cret@mq:5672"\nplaintext = false\n[store]',
    'url = "amqp://gate:s3cret@mq:5672" | bus.url | amqp:// to mq:5672 lets everybody on the way read the password: use amqps://, or set plaintext = true where that is meant',
  ],
  [
    'a wish for plaintext that is no yes or no',
    '[store]',
    '[bus]\nurl = "amqp://gate:s3cret@mq"\nplaintext = "yes"\n[store]',
    'plaintext = "yes" | bus.plaintext | got "yes", expected true or false',
  ],
  [
    'no port',
    '[store]',
    '[http]\nlisten = "::1"\n[store]',
    'listen = "::1" | http.listen | got "::1", expected HOST:PORT, such as "127.0.0.1:8642" or "[::1]:8642"',
  ],
  [
    'metrics at a port alone',
    '[store]',
    '[http]\nlisten = "127.0.0.1:1"\nmetrics = "9642"\n[store]',
    'metrics = "9642" | http.metrics | got "9642", expected true, false, or HOST:PORT such as "127.0.0.1:9642"',
  ],
  [
    'metrics at a number',
    '[store]',
    '[http]\nlisten = "127.0.0.1:1"\nmetrics = 9642\n[store]',
    'metrics = 9642 | http.metrics | got 9642, expected true, false, or HOST:PORT such as "127.0.0.1:9642"',
  ],
  [
    'a port too high',
    '[store]',
    '[http]\nlisten = "[::]:65536"\n[store]',
    'listen = "[::]:65536" | http.listen | got "[::]:65536", expected HOST:PORT, such as "127.0.0.1:8642" or "[::1]:8642"',
  ],
  [
    'reading by tokens that nobody has',
    '[store]',
    '[http]\nlisten = "[::]:0"\nread = "token"\n[store]',
    'read = "token" | http.read | "token", but nobody has one: name the file of tokens with tokens',
  ],
  [
    'reading by something else',
    '[store]',
    '[http]\nlisten = "[::]:0"\nread = "tokens"\n[store]',
    'read = "tokens" | http.read | got "tokens", expected "open" or "token"; did you mean "token"?',
  ],
];

describe('a mistake names its line, its key, what is there and what is expected', () => {
  it.each(ONE_MISTAKE)('%s', (_, from, to, mistake) => {
    expect(mistakesOf(edited(from, to))).toEqual([mistake]);
  });

  const login = (server: string, more = '') =>
    edited('server = "https://koji.example.org/kojihub"', `server = "${server}"\n${more}`);
  const PASSWORD = 'user = "gate"\npassword = "s3cret"';
  const bus = (url: string, more = '') => edited('[store]', `[bus]\nurl = "${url}"\n${more}\n[store]`);
  it.each([
    ['a hub by TLS', login('https://koji.example.org/kojihub', PASSWORD)],
    ['a hub at 127.0.0.1', login('http://127.0.0.1:8080/kojihub', PASSWORD)],
    ['a hub in 127.0.0.0/8', login('http://127.1.2.3/kojihub', PASSWORD)],
    ['a hub at ::1', login('http://[::1]/kojihub', PASSWORD)],
    ['a hub at localhost', login('http://LOCALHOST/kojihub', PASSWORD)],
    ['a hub that is only read', login('http://koji/kojihub', 'authtype = "noauth"')],
    ['a hub where it is meant', login('http://koji/kojihub', `${PASSWORD}\nplaintext = true`)],
    ['a bus by TLS', bus('amqps://gate:s3cret@mq')],
    ['a bus at ::1', bus('amqp://gate:s3cret@[0:0:0:0:0:0:0:1]:5672')],
    ['a bus at localhost', bus('amqp://gate:s3cret@Localhost')],
    ['a bus without a login', bus('amqp://mq')],
    ['a bus where it is meant', bus('amqp://gate:s3cret@mq', 'plaintext = true')],
  ])('no password goes over the network as it is, or that is meant: %s', (_, text) => {
    parse(text);
  });
  it.each([
    login('http://127.0.0.1.example.org/kojihub', PASSWORD),
    login('http://localhost.example.org/kojihub', PASSWORD),
    login('http://gate:127.0.0.1@koji/kojihub', PASSWORD),
    bus('amqp://gate:s3cret@127.0.0.1.example.org'),
    bus('amqp://gate:s3cret@127.1'),
  ])('a host that only looks like this machine is another one: %#', (text) => {
    expect(mistakesOf(text)).toEqual([
      expect.stringContaining('lets everybody on the way read the password'),
    ]);
  });
  it('what goes as it is, is told', () => {
    const text = bus('amqp://gate:s3cret@mq', 'plaintext = true');
    expect(describeConfig(parse(text))).toMatch(/^ +plaintext: without TLS anybody on the way can read/m);
  });

  it('two gates of one name', () => {
    expect(mistakesOf(`${SMALL}${GATE.replace('"c9s-gate"', '"c9s-rt-gate"')}`)).toEqual([
      'name = "c9s" | gate[1].name | "c9s" is the name of gate[0] already',
    ]);
  });

  it('two gates that would both move the same kernels', () => {
    const second = GATE.replace('"c9s"', '"strict"');
    expect(mistakesOf(`${SMALL}${second}`)).toEqual([
      'watch = "c9s-gate" | gate[1].watch | gate[0] decides over the same kernels in the same tag already; give one of them another tag, or mode = "observe"',
    ]);
    expect(parse(`${SMALL}${second.replace('watch', 'mode = "observe"\nwatch')}`).gates).toHaveLength(2);
    expect(parse(`${SMALL}${second.replace('["kernel"]', '["kernel-rt"]')}`).gates).toHaveLength(2);
  });

  it('a gate that takes kernels out of where another one blocks them', () => {
    const second = GATE.replace('"c9s"', '"strict"')
      .replace('"c9s-gate"', '"strict-gate"')
      .replace('tag = ["c9s-blocked"]', 'tag = ["strict-blocked"]')
      .replace('tag = ["c9s-candidate"]', 'untag = ["c9s-blocked"]');
    expect(mistakesOf(`${SMALL}${second}`)).toEqual([
      'untag = ["c9s-blocked"] | gate[1].on_pass.untag[0] | gate[0] blocks kernels into "c9s-blocked": a pass here would undo its block; take it out',
    ]);
  });

  it.each([
    [
      'tag = "kmods9s-release"\ninclude = ["kmod-*"]\nexclude = ["kmod-*"]',
      '',
      'exclude = ["kmod-*"] | gate[0].kmods.exclude | leaves out all that include takes in: an empty list of kmods lets nothing pass',
    ],
    [
      'tag = "kmods9s-release"\nadvisory = ["*"]',
      'after_hold = "promote"',
      'advisory = ["*"] | gate[0].kmods.advisory | makes every kmod advisory: nothing passes of which no required kmod was tried and is fine, after_hold = "promote" or not; for a gate that only tells, set mode = "observe"',
    ],
    [
      'tag = "kmods9s-release"',
      'inconclusive = "pass"\nafter_hold = "promote"',
      'after_hold = "promote" | gate[0].policy.after_hold | "promote" goes with inconclusive = "hold" or unattributed = "hold": all that is held else was not tried, or there is no kmod, and that never passes',
    ],
  ])('a gate that nothing could ever pass by proof: %j, %j', (kmods, policy, expected) => {
    const text = edited('tag = "kmods9s-release"', kmods).replace(
      '[gate.build]',
      `[gate.policy]\n${policy}\n[gate.build]`,
    );
    expect(mistakesOf(text)).toEqual([expected]);
  });

  it('gates that let kernels into one tag are told of, and no mistake', () => {
    const second = GATE.replace('"c9s"', '"strict"').replace('"c9s-gate"', '"strict-gate"');
    expect(describeConfig(parse(`${SMALL}${second}`))).toContain(
      'note       gates c9s and strict both let kernels into c9s-candidate: what one of them blocks, the other one holds until a person acts',
    );
  });

  it('a syntax error is the only one, and nothing around it is quoted', () => {
    const error = errorOf(edited('[store]', 'password = "s3cret"\nuser = \n[store]'));
    expect(error.mistakes).toHaveLength(1);
    expect(formatMistakes(error)).toMatch(/^gate\.toml:5: not valid TOML, column \d+: [^\n]+$/);
    expect(error.message).not.toContain('s3cret');
  });

  it('a wrong value hides no contradiction in the same gate', () => {
    const text = edited('["c9s-blocked"]', '["c9s-gate"]').replace(
      'target',
      'max_active = 0\nextra = 1\ntarget',
    );
    expect(errorOf(text).mistakes.map(({ path }) => path)).toEqual([
      'gate[0].build.max_active',
      'gate[0].build.extra',
      'gate[0].on_fail.tag[0]',
    ]);
  });

  it('never shows a password, however wrong', () => {
    const text = edited(
      '[store]',
      'user = "gate"\npassword = ["s3cret"]\n[bus]\nurl = "ampq://gate:s3/cr@et@mq"\n[store]',
    );
    expect(errorOf(text).message).not.toMatch(/s3|cr|et@/);
  });
});

describe('config check', () => {
  async function check(file: string): Promise<{ code: number; lines: string[] }> {
    let shown = '';
    const code = await configCheck(file, (text) => {
      shown += text;
    });
    return { code, lines: shown.trimEnd().split('\n') };
  }

  it('shows ten mistakes as ten lines, each with the number of the line that has it', async () => {
    const { code, lines } = await check(TEN_MISTAKES);
    const commented = readFileSync(TEN_MISTAKES, 'utf8')
      .split('\n')
      .flatMap((text, index) => (/# \d+: /.test(text) ? [index + 1] : []));
    expect(code).toBe(2);
    expect(lines.at(-1)).toBe(`${TEN_MISTAKES}: 10 mistakes`);
    expect(lines.slice(0, -1)).toEqual(
      [
        'koji.server: got "koji.example.org/kojihub", expected an http:// or https:// URL',
        'koji.password: a password without a user: set user too',
        'koji.timeout: got "1 minute", expected a duration in quotes, up to 24 days, such as "500ms", "30s", "5m", "2h" or "1d"',
        'gate[0].kernels: got an empty list, expected one kernel package name or more, such as ["kernel"]',
        'gate[0].kmods.includes: unknown key; did you mean "include"?',
        'gate[0].build.repo: got "side-tag", expected "wait", "pin", or "sidetag"; did you mean "sidetag"?',
        'gate[0].build.max_active: got 0, expected a whole number from 1 to 10000',
        'gate[0].on_fail.tag[1]: "c9s-candidate" is in on_pass.tag too: a pass and a fail could not be told apart',
        'gate[1].name: "c9s" is the name of gate[0] already',
        'gate[1].build.priority: got "5", expected a whole number from -20 to 50',
      ].map((text, index) => `${TEN_MISTAKES}:${commented[index]}: ${text}`),
    );
  });

  it('shows what was understood', async () => {
    const { code, lines } = await check(EXAMPLE);
    expect(code).toBe(0);
    expect(lines).toContain('  kernels  kernel in tag c9s-gate');
    expect(lines.at(-1)).toBe(`${EXAMPLE}: fine`);
  });

  it('takes its file as an argument or by -c, and no two of them', () => {
    expect(fileMeant('a.toml', '')).toBe('a.toml');
    expect(fileMeant(undefined, 'b.toml')).toBe('b.toml');
    expect(fileMeant('a.toml', 'a.toml')).toBe('a.toml');
    expect(fileMeant(undefined, '')).toBe('');
    expect(() => fileMeant('a.toml', 'b.toml')).toThrow('which one: a.toml, or -c b.toml? Name one of them');
  });

  it('says that a file cannot be read', async () => {
    const { code, lines } = await check('no-such-file.toml');
    expect(code).toBe(2);
    expect(lines[0]).toMatch(
      /^no-such-file\.toml: cannot be read: ENOENT.*; config\/kmod-gate\.toml is an example/,
    );
    expect(lines[1]).toBe('no-such-file.toml: 1 mistake');
  });
});

describe('how long a store keeps runs', () => {
  it.each([
    ['400d', 34_560_000_000, 'for 400d'],
    ['forever', null, 'for ever'],
  ])('may be %s', (keep, ms, words) => {
    const config = parse(edited('[store]', `[store]\nkeep = "${keep}"`));
    expect(config.store.keep).toBe(ms);
    expect(describeConfig(config)).toContain(`keeps all of a run ${words}`);
  });
});

describe('what was understood', () => {
  it('has every setting and no password', () => {
    expect(describeConfig(loadConfig(EXAMPLE, {})).split('\n')).toEqual([
      'koji       https://koji.example.org/kojihub, as kmod-gate, password ***, 1m a call',
      'weburl     https://koji.example.org/koji',
      'bus        amqp://guest:***@127.0.0.1:5672, exchange amq.topic, queue kmod-gate (removed 7d after it was last read, at most 100000 messages), bindings #.buildsys.# koji.#, prefetch 50',
      'store      sqlite:kmod-gate.db, keeps all of a run for 180d',
      'http       127.0.0.1:8642, nobody writes by the API, anybody reads',
      'sweep      watched tags every 5m, running tasks every 30s, 1m to settle',
      'run        stops within 20s',
      'waiverdb   none: waivers are given here alone',
      'gate c9s',
      '  kernels  kernel in tag c9s-gate',
      '  mode     enforce, strategy rebuild',
      '  kmods    in tag kmods9s-release, include kmod-*, exclude kmod-redhat-*, advisory kmod-experimental-*',
      '  build    target kmods9s-gate, repo wait, priority 5, at most 20 at a time',
      '  policy   inconclusive hold, unattributed block, proof repo; builds against the baseline count for 7d; supersede keep; retries 2 a kmod, 50 a run, 200 a day; builds 1d, runs 7d, holds 7d, then block',
      '  on_pass  tag c9s-candidate, untag c9s-gate',
      '  on_fail  tag c9s-blocked, untag c9s-gate',
      '  waivers  end after 90d at the most',
    ]);
  });

  it.each([
    ['authtype = "kerberos"', 'by Kerberos, with the tickets of the environment'],
    ['keytab = "/k"\nprincipal = "gate@R"', 'by Kerberos as gate@R, keytab /k'],
    ['no_ssl_verify = true', 'no_ssl_verify: anybody on the way can read and change it all'],
  ])('says of %j how it logs in', (keys, words) => {
    expect(describeConfig(parse(edited('[store]', `${keys}\n[store]`)))).toContain(words);
  });

  it('needs nothing to build with where symbols decide', () => {
    const text = SMALL.replace('[gate.build]\ntarget = "kmods9s-gate"\n', '').replace(
      'watch',
      'strategy = "symbols"\nwatch',
    );
    expect(parse(text).gates[0]?.build).toBeNull();
    expect(describeConfig(parse(text))).toContain('build    none');
  });

  it('says what is left out', () => {
    const text = describeConfig(parse(SMALL));
    expect(text).toContain('without a login, only reading');
    expect(text).toContain('bus        none: the gate only sweeps');
  });
});

describe('[greenwave]', () => {
  const GREENWAVE =
    '[greenwave]\nurl = "https://greenwave.example.org"\nproduct_version = "GATE"\ndecision_context = "kernel_promotion"\n';
  const waits = (table: string) =>
    SMALL.replace('[[gate]]', `${table}[[gate]]`).concat('[gate.policy]\nwait_for = "greenwave"\n');

  const messages = (text: string) => errorOf(text).mistakes.map(({ path, message }) => `${path}: ${message}`);

  it('a gate may wait for its decision', () => {
    const config = parse(waits(GREENWAVE));
    expect(config.greenwave).toEqual({
      ...{
        url: 'https://greenwave.example.org',
        productVersion: 'GATE',
        decisionContext: 'kernel_promotion',
      },
      ...{ timeout: 60_000, header_files: {} },
    });
    expect(config.gates[0]?.policy.wait_for).toBe('greenwave');
    expect(parse(SMALL).gates[0]?.policy.wait_for).toBeNull();
    expect(describeConfig(config)).toContain(
      'greenwave  https://greenwave.example.org, decision context kernel_promotion of GATE\n',
    );
    expect(describeConfig(config)).toContain('; waits for Greenwave before it promotes\n');
  });

  it('who waits for it says where it is, and nobody on the way answers in its place', () => {
    expect(messages(waits(''))).toEqual([
      'gate[0].policy.wait_for: needs a [greenwave] table that says where it is',
    ]);
    expect(messages(waits(GREENWAVE.replace('https:', 'http:')))).toEqual([
      'greenwave.url: http:// to greenwave.example.org lets everybody on the way let kernels through: use https://, or set plaintext = true where that is meant',
    ]);
    const meant = `${GREENWAVE.replace('https:', 'http:')}plaintext = true\n`;
    expect(parse(waits(meant)).greenwave?.url).toBe('http://greenwave.example.org');
  });
});

describe('waivers', () => {
  const policy = (text: string) => SMALL.replace('[gate.kmods]', `[gate.policy]\n${text}\n[gate.kmods]`);

  it.each<[string, string, number | null, string]>([
    ['nothing', '', 90 * 86_400_000, 'end after 90d at the most'],
    ['a duration', 'longest_waiver = "3w"', 21 * 86_400_000, 'end after 21d at the most'],
    ['none', 'longest_waiver = "none"', null, 'may have no end'],
  ])('%s is said of how long they may be', (_, text, longest, told) => {
    const config = parse(policy(text));
    const [gate] = config.gates;
    expect(config.longestWaivers).toEqual({ [gate?.name ?? '']: longest });
    expect(gate?.policy).not.toHaveProperty('longest_waiver');
    expect(describeConfig(config)).toContain(`\n  waivers  ${told}`);
  });

  const WAIVERDB = '[waiverdb]\nurl = "https://waiverdb.example.org/api/v1.0/"\nproduct_version = "el-9"\n';
  const having = (more: string) => `${WAIVERDB}${more}\n${SMALL}`;

  it('a WaiverDB is read, and written where that is told', () => {
    expect(parse(having('')).waiverdb).toEqual({
      ...{ url: 'https://waiverdb.example.org/api/v1.0', productVersion: 'el-9' },
      ...{ testcase: 'kmod-gate.GATE', write: false, proxy: false },
    });
    const written = parse(having('write = true\nproxy = true\ntoken_file = "~/token"'), {
      HOME: '/home/gate',
    });
    expect(written.waiverdb).toMatchObject({ write: true, proxy: true, tokenFile: '/home/gate/token' });
    expect(describeConfig(written)).toContain(
      'waiverdb   https://waiverdb.example.org/api/v1.0, testcase kmod-gate.GATE of el-9, is read, and written in the name of who gives them, with the token in /home/gate/token',
    );
    expect(describeConfig(parse(SMALL))).toContain('waiverdb   none: waivers are given here alone');
  });

  it.each<[string, string]>([
    [
      'testcase = "kabi"',
      'waiverdb.testcase: got "kabi", expected a testcase with GATE for the name of the gate',
    ],
    ['token_file = "x"', 'waiverdb.token_file: is for write = true, and nothing is written'],
    ['proxy = true', 'waiverdb.proxy: is for write = true, and nothing is written'],
    ['wirte = true', 'waiverdb.wirte: unknown key; did you mean "write"?'],
  ])('%s', (text, message) => {
    expect(errorOf(having(text)).message).toContain(message);
  });

  it('whoever is on the way must not give waivers', () => {
    const plain = having('').replace('https', 'http');
    expect(errorOf(plain).message).toContain(
      'waiverdb.url: http:// to waiverdb.example.org lets everybody on the way',
    );
    expect(parse(plain.replace('url =', 'plaintext = true\nurl =')).waiverdb).toBeDefined();
    expect(parse(plain.replace('waiverdb.example.org', '127.0.0.1:5004')).waiverdb).toBeDefined();
  });
});

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
  ])('%s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
    expect(formatDuration(ms)).toBe(text);
  });

  it.each(['', '5', 's', '0s', '-5s', '1.5h', '5 m', '5M', '1h30m', '25d', '1y'])('refuses "%s"', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it.each([
    ['30d', 30 * 86_400_000],
    ['3w', 21 * 86_400_000],
    ['720h', 30 * 86_400_000],
  ])('%s, where no timer waits for it', (text, ms) => {
    const edit = SMALL.replace('[gate.kmods]', `[gate.policy]\nlongest_hold = "${text}"\n[gate.kmods]`);
    expect(parse(edit).gates[0]?.policy.longest_hold).toBe(ms);
    const now = Date.parse('2026-12-01T00:00Z');
    expect(parseSince(text, now)).toBe(now - ms);
    expect(parseUntil(text, now)).toBe(now + ms);
  });

  it('no date is beyond the calendar', () => {
    expect(() => parseUntil('100000000d', Date.now())).toThrow('--until 100000000d: give a date such as');
    expect(() => parseUntil('999999999999d', Date.now())).toThrow(
      '--until 999999999999d: give a date such as',
    );
  });

  it('come back from their text', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 24 * 86_400_000 }),
        (ms) => parseDuration(formatDuration(ms)) === ms,
      ),
    );
  });
});
