/** Notices to people, as a real SMTP server and a receiver of webhooks get them. */
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { report, reporting } from '../../src/commands/report.ts';
import type { NoticeSettings } from '../../src/config/notice.ts';
import type { Rule, Scenario } from '../../src/sim/scenario.ts';
import { type NoticeSources, noticeChannel } from '../../src/tell/noticechannel.ts';
import type { Teller } from '../../src/tell/teller.ts';
import { GATE, NEW, type Stage, type StageOptions, setStage } from '../scenarios/stage.ts';
import { HOOK, mailbox, NOTICE, receiver } from './people.ts';
import { DAY, silent, sourcesOf, tellOf } from './telling.ts';

const MINUTE = 60_000;
/** As many names as there are parts that a text must not get out of. */
const EVIL = [
  '</pre><script>alert(1)</script>',
  '[x](javascript:alert(1)) ![y](https://evil.example/y.png) **b** `c` ~~~',
  '@channel @all <!channel> <https://evil.example|click>',
  '{noformat} {html}<b>{html} {id}',
  '\u001b]0;pwned\u0007\u001b[31m\u009b2J',
  '\u202egnp.exe\u2066',
  '\r\nBcc: victim@example.org\r\n\r\n.\r\nQUIT',
].join(' ');

describe('notices', () => {
  let stage: Stage;
  let sources: NoticeSources;
  let teller: Teller;
  let mail: Awaited<ReturnType<typeof mailbox>>;
  let hook: Awaited<ReturnType<typeof receiver>>;
  let folder: string;
  let statuses: number[];
  let refuse: (address: string) => Error | undefined;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
    statuses = [];
    refuse = () => undefined;
    mail = await mailbox((address) => refuse(address));
    hook = await receiver(() => statuses.shift());
  });
  afterEach(async () => {
    await teller.stop();
    await sources.hub.close();
    await stage.end();
    await mail.close();
    await hook.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function set(notices: readonly Partial<NoticeSettings>[], options: StageOptions = {}): Promise<void> {
    stage = await setStage({
      ...options,
      scenario: (small) => options.scenario?.(owned(small)) ?? owned(small),
    });
    const { store, gate } = stage;
    const koji = { weburl: 'https://koji.example.org/koji' };
    const reports = reporting(
      { gates: [gate], koji } as unknown as Parameters<typeof reporting>[0],
      store,
      () => stage.world.now(),
    );
    sources = {
      ...sourcesOf(stage),
      ...{ gates: [gate], mail: mail.settings, reportOf: (run) => report(reports, run) },
    };
    teller = await tellOf(
      stage,
      notices.map((one) => noticeChannel({ ...NOTICE, ...one }, sources, silent)),
    );
    stage.hear();
    stage.world.completeKernel(NEW, { tag: GATE.watch });
  }
  /** So much time passes, in which notices gather and are sent. */
  async function wait(ms = 3 * MINUTE): Promise<void> {
    stage.world.tick(ms);
    await teller.drain();
  }
  const owned = (small: Scenario): Scenario => ({
    ...small,
    users: [
      ...small.users,
      { name: 'vendor', password: null, perms: [], owns: ['kmod-gamma'] },
      { name: 'other', password: null, perms: [], owns: ['kmod-alpha', 'kmod-beta'] },
    ],
  });
  const withRule =
    (...rules: readonly (Partial<Rule> & Pick<Rule, 'kmod' | 'result'>)[]) =>
    (scenario: Scenario): Scenario => ({
      ...scenario,
      rules: [
        ...rules.map((rule) => ({ kernel: NEW, arch: '*', log: [], times: null, ...rule })),
        ...scenario.rules,
      ],
    });

  test('of a blocked kernel: one mail to each address, once, with the cause and what to do', async () => {
    await set([{ mail: ['kernel@example.org', 'qa@example.org'] }]);
    await stage.closed(NEW);
    await teller.drain();
    // More may come of the same kernel.
    expect(mail.letters).toEqual([]);
    await wait();
    await wait(DAY);
    expect(mail.letters.map(({ from, to }) => [from, ...to])).toEqual([
      ['gate@example.org', 'kernel@example.org'],
      ['gate@example.org', 'qa@example.org'],
    ]);
    const [letter] = mail.letters;
    expect(letter?.headers).toMatchObject({
      from: '"kmod-gate" <gate@example.org>',
      to: 'kernel@example.org',
      subject: `${NEW} is blocked at gate c9s: kmod-gamma`,
      'auto-submitted': 'auto-generated',
      'message-id': expect.stringMatching(/^<[0-9a-f-]{36}@example\.org>$/),
      'content-type': 'text/plain; charset=utf-8',
    });
    expect(letter?.text).toMatch(
      /^kernel-6\.1\.176-50\.el9 is blocked at gate c9s: kmod-gamma\n\nkmod-gamma-0\.8-1\.el9: broken\n {2}does /,
    );
    expect(letter?.text).toContain('pci_clear_master');
    expect(letter?.text).toMatch(/https:\/\/koji\.example\.org\/koji\/taskinfo\?taskID=\d+\n/);
    expect(letter?.text).toContain('koji download-build --arch=src kmod-gamma-0.8-1.el9\n');
    expect(letter?.text).toMatch(/koji mock-config --task=\d+ -o kmod-gamma\.cfg\n/);
    expect(letter?.text).toContain('mock -r ./kmod-gamma.cfg --rebuild kmod-gamma-0.8-1.el9.src.rpm\n');
    expect(letter?.text).toContain('What to do (the maintainer of kmod-gamma)\n');
    expect(letter?.text).toContain(`kmod-gate waive --gate c9s --kernel ${NEW} --kmod kmod-gamma --until 7d`);
    expect(letter?.text).toContain(`https://gate.example.org/kernel/${stage.buildId(NEW)}\n`);
  });

  test('that the kernel passes after all is told to those who were told before, and to nobody else', async () => {
    await set([{ mail: ['kernel@example.org'] }]);
    await stage.closed(NEW);
    await wait();
    await stage.waive();
    stage.heard();
    await stage.until('passed', async () => (await stage.run(NEW))?.verdict?.verdict === 'promote');
    await wait();
    expect(mail.letters.map(({ headers }) => headers['subject'])).toEqual([
      `${NEW} is blocked at gate c9s: kmod-gamma`,
      `${NEW} passes gate c9s`,
    ]);
    expect(mail.letters[0]?.headers['references']).toBe(mail.letters[1]?.headers['references']);
  });

  test('a kernel that passes at once is told where promotions are, and nowhere else', async () => {
    const kmods = { ...GATE.kmods, exclude: ['kmod-gamma'] };
    const all = { name: 'all', on: ['promote'], mail: ['all@example.org'] } as const;
    await set([{ mail: ['kernel@example.org'] }, all], { gate: { kmods } });
    await stage.closed(NEW);
    await wait();
    expect(mail.letters.flatMap(({ to }) => to)).toEqual(['all@example.org']);
  });

  test('verdicts that come one after the other are one notice, and what is known already is none', async () => {
    await set([{ mail: ['kernel@example.org'] }]);
    const run = await stage.closed(NEW);
    const again = { verdict: 'block', reasons: run.verdict?.reasons ?? [] } as const;
    await stage.store.judge(run, again, [], stage.world.now());
    await wait();
    expect(mail.letters).toHaveLength(1);
    const newer = await stage.run(NEW);
    if (!newer) throw new Error('no run');
    await stage.store.judge(newer, again, [], stage.world.now());
    await wait();
    expect(mail.letters).toHaveLength(1);
    expect(teller.state()).toMatchObject([{ waiting: 0, failed: 0, sent: 1 }]);
  });

  test('quiet times are waited for', async () => {
    const quiet: { from: number; to: number }[] = [];
    await set([{ mail: ['kernel@example.org'], quiet }]);
    // Four hours from now on, in minutes of the week; 1970 began on a Thursday.
    const week = 7 * 24 * 60;
    const from = (Math.floor(stage.world.now() / MINUTE) + 3 * 24 * 60) % week;
    quiet.push({ from, to: (from + 4 * 60) % week });
    await stage.closed(NEW);
    await wait();
    expect(mail.letters).toEqual([]);
    await wait(2 * 60 * MINUTE);
    expect(mail.letters).toEqual([]);
    await wait(2 * 60 * MINUTE);
    expect(mail.letters).toHaveLength(1);
  });

  test('each owner, as Koji has them, is told of their kmods alone', async () => {
    const trouble = withRule(
      { kmod: 'kmod-alpha', result: 'fails', log: ['alpha.c:7:3: error: alpha is broken'] },
      { kmod: 'kmod-beta', result: 'fails', log: ['beta.c:9:1: error: beta is broken'] },
    );
    await set([{ about: 'kmods', owners: true, owner_domain: 'example.com' }], { scenario: trouble });
    await stage.closed(NEW);
    await wait();
    const mails = Object.fromEntries(
      mail.letters.map(({ to: [to = ''], headers, text }) => [to, { headers, text }]),
    );
    expect(Object.keys(mails).sort()).toEqual(['other@example.com', 'vendor@example.com']);
    const [vendor, other] = [mails['vendor@example.com'], mails['other@example.com']];
    expect(vendor?.headers['subject']).toBe(`kmod-gamma: broken with ${NEW} (gate c9s)`);
    expect(vendor?.text).not.toMatch(/alpha|beta/);
    expect(other?.headers['subject']).toBe(`kmod-alpha and 1 more kmod: broken with ${NEW} (gate c9s)`);
    expect(other?.text).toContain('alpha.c:7: alpha is broken');
    expect(other?.text).toContain('beta.c:9: beta is broken');
    expect(other?.text).not.toContain('gamma');
  });

  test('addresses say otherwise, of a package or an owner; whom nobody reaches is left out', async () => {
    const addresses = { 'kmod-gam*': 'gamma@example.net', other: '' };
    await set([{ about: 'kmods', owners: true, outcomes: ['broken'], addresses }], {
      scenario: withRule({ kmod: 'kmod-alpha', result: 'fails' }),
    });
    await stage.closed(NEW);
    await wait();
    expect(mail.letters.flatMap(({ to }) => to)).toEqual(['gamma@example.net']);
  });

  test('an owner whose name is no address is not mailed', async () => {
    await set([{ about: 'kmods', owners: true, owner_domain: 'example.com' }], {
      scenario: (small) => ({
        ...small,
        users: small.users.map((user) =>
          user.name === 'vendor' ? { ...user, name: 'a@evil.example>\r\nBcc: victim' } : user,
        ),
      }),
    });
    await stage.closed(NEW);
    await wait();
    expect(mail.letters).toEqual([]);
    expect(teller.state()).toMatchObject([{ waiting: 0, failed: 0 }]);
  });

  test('a mail that is refused for good is given up, one that may be taken later comes then', async () => {
    const temporary = Object.assign(new Error('greylisted'), { responseCode: 451 });
    const never = Object.assign(new Error('no such user'), { responseCode: 550 });
    let asked = 0;
    refuse = (address) =>
      address.startsWith('gone')
        ? never
        : address.startsWith('grey') && asked++ === 0
          ? temporary
          : undefined;
    await set([{ mail: ['gone@example.org', 'grey@example.org', 'kernel@example.org'] }]);
    await stage.closed(NEW);
    await wait();
    expect(mail.letters.flatMap(({ to }) => to)).toEqual(['kernel@example.org']);
    await wait();
    expect(mail.letters.flatMap(({ to }) => to)).toEqual(['kernel@example.org', 'grey@example.org']);
    expect(teller.state()).toMatchObject([{ waiting: 0, failed: 1, sent: 2 }]);
    expect(teller.state()[0]?.error).toContain('550 no such user');
  });

  test('a password is not sent without TLS', async () => {
    const secret = join(folder, 'password');
    writeFileSync(secret, 'hunter2');
    await set([{ mail: ['kernel@example.org'] }]);
    sources = { ...sources, mail: { ...mail.settings, user: 'gate', password_file: secret } };
    await teller.stop();
    teller = await tellOf(stage, [
      noticeChannel({ ...NOTICE, mail: ['kernel@example.org'] }, sources, silent),
    ]);
    await stage.closed(NEW);
    await wait();
    expect(mail.letters).toEqual([]);
    expect(teller.state()).toMatchObject([{ waiting: 1, failed: 0 }]);
    expect(teller.state()[0]?.error).toMatch(/STARTTLS/);
    expect(teller.state()[0]?.error).not.toContain('hunter2');
  });

  test('a webhook is signed as receivers can check, and sent again with the same id until it is taken', async () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'open sesame\n');
    statuses = [503, 401];
    await set([{ webhook: { ...HOOK, url: `${hook.url}/notices`, secret_file: secret } }]);
    await stage.closed(NEW);
    await wait();
    expect(teller.state()[0]?.error).toMatch(/^webhook 127\.0\.0\.1:\d+: 503 <b>no<\/b>\\u001b\[31m$/);
    await wait();
    await wait();
    await wait(DAY);
    expect(hook.deliveries).toHaveLength(1);
    const [{ headers, raw, body, path }] = hook.deliveries as [(typeof hook.deliveries)[number]];
    expect(path).toBe('/notices');
    expect(body).toMatchObject({
      ...{ gate: 'c9s', kernel: NEW, verdict: 'block', id: headers['webhook-id'] },
      kmods: [{ name: 'kmod-gamma', outcome: 'broken' }],
    });
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${raw}`;
    expect(headers['webhook-signature']).toBe(
      `v1,${createHmac('sha256', 'open sesame').update(signed).digest('base64')}`,
    );
  });

  test('templates for trackers and chats: a message a kmod, secrets from files', async () => {
    const [address, token] = [join(folder, 'url'), join(folder, 'token')];
    writeFileSync(address, `${hook.url}/matrix/{id}?secret=1\n`);
    writeFileSync(token, 'glpat-1\n');
    const webhook = { ...HOOK, url: `${hook.url}/gitlab`, header_files: { 'PRIVATE-TOKEN': token } };
    await set(
      [
        {
          ...{ about: 'kmods', owners: true, addresses: { vendor: 'v@example.org' } },
          webhook: {
            ...webhook,
            body: { title: '{title}', description: '{markdown}', labels: ['{verdict}', '{owner}'] },
          },
        },
        {
          name: 'matrix',
          webhook: {
            ...{ ...HOOK, method: 'PUT', url_file: address },
            body: { msgtype: 'm.text', body: '{text}', 'm.mentions': {}, n: 1 },
          },
        },
      ],
      { scenario: withRule({ kmod: 'kmod-alpha', result: 'fails' }) },
    );
    await stage.closed(NEW);
    await wait();
    const issues = hook.deliveries.filter(({ path }) => path === '/gitlab');
    expect(
      issues.map(({ body, headers }) => [body['title'], body['labels'], headers['private-token']]),
    ).toEqual([
      [`kmod-alpha: broken with ${NEW} (gate c9s)`, ['block', ''], 'glpat-1'],
      [`kmod-gamma: broken with ${NEW} (gate c9s)`, ['block', 'vendor'], 'glpat-1'],
    ]);
    expect(issues[1]?.body['description']).toMatch(/\*\*kmod-gamma: broken|`kmod-gamma: broken/);
    const [matrix] = hook.deliveries.filter(({ path }) => path.startsWith('/matrix/'));
    expect(matrix).toMatchObject({ method: 'PUT', body: { msgtype: 'm.text', 'm.mentions': {}, n: 1 } });
    expect(matrix?.path).toMatch(/^\/matrix\/[0-9a-f-]{36}\?secret=1$/);
  });

  test('an address that is a secret is in no error', async () => {
    const address = join(folder, 'url');
    writeFileSync(address, 'http://127.0.0.1:1/T0P/SECRET');
    await set([{ webhook: { ...HOOK, url_file: address } }]);
    await stage.closed(NEW);
    await wait();
    expect(teller.state()[0]?.error).toMatch(/^webhook 127\.0\.0\.1:1: /);
    expect(JSON.stringify(teller.state())).not.toContain('SECRET');
  });

  test('logs, reasons and names that are hostile are inert in mails, Markdown and webhooks', async () => {
    const kinds = ['text', 'markdown', 'slack', 'html', 'jira', 'title', 'kernel', 'url', 'kmods', 'owner'];
    const body = Object.fromEntries(kinds.map((kind) => [kind, `{${kind}}`]));
    const log = [`src/${EVIL.replace(/[\r\n]/g, '')}.c:7:3: error: ${EVIL.replace(/[\r\n]/g, '')}`];
    await set([{ mail: ['kernel@example.org'], webhook: { ...HOOK, url: hook.url, body } }], {
      scenario: withRule({ kmod: 'kmod-gamma', result: 'fails', log }),
    });
    const run = await stage.closed(NEW);
    // Whatever a reason may hold.
    const reasons = [...(run.verdict?.reasons ?? []), `kmod-gamma: ${EVIL}`];
    await stage.store.judge(run, { verdict: 'block', reasons }, [], stage.world.now());
    await wait();
    const [letter] = mail.letters;
    const { text, markdown, slack, html, jira, title } = (hook.deliveries[0]?.body ?? {}) as Record<
      string,
      string
    >;
    // Nothing that a terminal obeys, and no line that is not the program's.
    for (const one of [letter?.text, letter?.headers['subject'], text, markdown, slack, html, jira, title])
      expect(one).not.toMatch(/[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/u);
    expect(letter?.to).toEqual(['kernel@example.org']);
    expect(Object.keys(letter?.headers ?? {})).not.toContain('bcc');
    expect(letter?.headers['content-type']).toBe('text/plain; charset=utf-8');
    for (const one of [letter?.text, text, jira]) expect(one).not.toMatch(/^(Bcc|\.|QUIT)/m);
    expect(letter?.text).toContain('\\r\\nBcc: victim@example.org');
    // Slack and HTML have no tag and no link of others; Jira's block ends at its end.
    expect(slack).not.toMatch(/[<>]/);
    expect(html?.replace(/^<pre><code>|<\/code><\/pre>$/g, '')).not.toMatch(/[<>"']/);
    expect(jira?.match(/\{/g)).toHaveLength(2);
    for (const one of [letter?.text, text, markdown]) expect(one).toContain('alert(1)');
    // In Markdown all of it is code.
    const outside = withoutCode(markdown ?? '');
    expect(outside).not.toMatch(/script|evil|channel|@all|javascript|noformat/);
  });

  /** Markdown without its blocks and spans of code, by CommonMark's rules for runs of backticks. */
  function withoutCode(markdown: string): string {
    const text = markdown.replace(/^(`{3,})\n[\s\S]*?\n\1$/gm, '');
    return text.replace(/(?<!`)(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)/g, '');
  }
});
