/** The pages in a real browser, with what the demo leaves in a store. */
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostileSources } from '../http/hostile.ts';
import { installed } from '../services.ts';
import { CHROMIUM, LAUNCH, PAGES } from './chromium.ts';
import { BLOCKED, CULPRIT, type Demo, openDemo, RUNNING } from './demo.ts';

const here = installed(CHROMIUM, 'chromium');
const WIDTHS = [360, 1440] as const;
/** A machine that is not ours alone may be slow: ms until something that is awaited, or a whole test, has failed. */
const PATIENT = { timeout: 60_000 };
const PATIENCE = 120_000;

const violationsBy = (options: object): string =>
  `axe.run(document, ${JSON.stringify({ resultTypes: ['violations'], ...options })}).then(({ violations }) =>
    violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))`;
const VIOLATIONS = violationsBy({});
/** What another colour scheme may break. */
const IN_COLOURS = violationsBy({
  runOnly: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] },
});
const PATHS = Object.entries(PAGES);

describe.skipIf(!here)('in Chromium', { timeout: PATIENCE }, () => {
  let browser: Browser;
  let demo: Demo;
  const open: Page[] = [];
  beforeAll(async () => {
    [demo, browser] = await Promise.all([openDemo(), chromium.launch(LAUNCH)]);
  }, PATIENCE);
  afterAll(async () => {
    await browser?.close();
    await demo?.close();
  });

  interface Seen {
    readonly page: Page;
    /** What the browser complains of, and requests to other hosts. */
    readonly complaints: string[];
  }
  async function look(options: Parameters<Browser['newPage']>[0], base = demo.url): Promise<Seen> {
    const page = await browser.newPage(options);
    open.push(page);
    const complaints: string[] = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('dialog', (dialog) => {
      complaints.push(`dialog ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(base)) complaints.push(`asks ${request.url()}`);
    });
    return { page, complaints };
  }
  afterAll(async () => {
    await Promise.all(open.map((page) => page.close().catch(() => {})));
  });

  test('every page is accessible, small and quiet: at 360 and 1440 px, light and dark', async () => {
    const { page, complaints } = await look({});
    for (const [name, path] of PATHS) {
      const answer = await page.goto(`${demo.url}${path}`);
      expect((await answer?.body())?.length, `${name} in bytes`).toBeLessThan(300_000);
      await page.evaluate(axe.source);
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 800 });
        const size =
          'const { scrollWidth, scrollHeight } = document.documentElement; [scrollWidth, scrollHeight]';
        const [across, down] = (await page.evaluate(`{${size}}`)) as [number, number];
        expect(across, `${name} across`).toBeLessThanOrEqual(width);
        if (width === 360) expect(down, `${name} down`).toBeLessThan(2_000);
        await page.emulateMedia({ colorScheme: 'light' });
        expect(await page.evaluate(VIOLATIONS), `${name} ${width}`).toEqual([]);
        await page.emulateMedia({ colorScheme: 'dark' });
        expect(await page.evaluate(IN_COLOURS), `${name} ${width}, dark`).toEqual([]);
      }
    }
    // The page of a kernel that is not there is one that the browser speaks of.
    expect(complaints.filter((text) => !text.includes('404'))).toEqual([]);
  });

  test('folded parts are accessible too', async () => {
    const { page } = await look({ viewport: { width: 1440, height: 800 } });
    await page.goto(`${demo.url}/kernel/${BLOCKED}`);
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
    await page.evaluate(axe.source);
    expect(await page.evaluate(VIOLATIONS)).toEqual([]);
  });

  test('who is new sees culprit and next step without a click', async () => {
    const { page } = await look({});
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 800 });
      await page.goto(demo.url);
      for (const text of [
        BLOCKED,
        CULPRIT,
        'does not build on x86_64',
        `the maintainer of ${CULPRIT}`,
        `koji move-build c9s-blocked c9s-gate ${BLOCKED}`,
        `kmod-gate waive --gate c9s --kernel ${BLOCKED} --kmod ${CULPRIT}`,
      ]) {
        const box = await page.getByText(text).first().boundingBox();
        expect((box?.y ?? 9_999) + (box?.height ?? 0), text).toBeLessThan(800);
      }
    }
  });

  test('all can be reached by the keyboard', async () => {
    const { page } = await look({ viewport: { width: 360, height: 800 } });
    await page.goto(demo.url);
    const focused = () =>
      page.evaluate(
        "document.activeElement.textContent.trim() || document.activeElement.getAttribute('name')",
      );
    const until = async (text: string) => {
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab');
        if ((await focused()) === text) return;
      }
      throw new Error(`no way to ${text}`);
    };
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Skip to the content');
    await page.keyboard.press('Enter');
    await until(BLOCKED);
    await until('Filter');
    await page.keyboard.press('Enter');
    await until('kmod');
    await page.keyboard.type('kmod-j*');
    await page.keyboard.press('Enter');
    await page.waitForURL(/kmod=kmod-j/);
    expect(await page.locator('table.matrix tbody tr').allTextContents()).toHaveLength(1);
    // The matrix scrolls by the arrows once it has the focus.
    await page.locator('.scroll').focus();
    await page.keyboard.press('ArrowRight');
    await expect
      .poll(() => page.evaluate("document.querySelector('.scroll').scrollLeft"), PATIENT)
      .toBeGreaterThan(0);
    await until('6.1.192-63.el9');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/kernel\//);
    expect(await page.locator('h1').textContent()).toContain(BLOCKED);
  });

  test('all is there, and filters work, without scripts', async () => {
    const { page } = await look({ javaScriptEnabled: false });
    await page.goto(demo.url);
    expect(await page.locator('article.need code').allTextContents()).toHaveLength(2);
    await page.getByText('Filter', { exact: true }).click();
    await page.getByLabel('Verdict').selectOption('promote');
    await page.getByLabel('Begun since').fill('2020-01-01');
    await page.getByRole('button', { name: 'Show' }).click();
    expect(page.url()).toContain('verdict=promote');
    expect(await page.locator('table.matrix thead').first().textContent()).not.toContain('block');
    expect(await page.locator('table.matrix thead th').count()).toBe(3);
    await page.getByRole('link', { name: 'All runs' }).click();
    expect(await page.locator('table.cards tbody tr').count()).toBe(2);
    await page.goto(`${demo.url}/kernel/${BLOCKED}`);
    await page.getByText(/kmods are fine/).click();
    expect(await page.getByText('needs a rebuild, and builds').first().isVisible()).toBe(true);
  });

  test('a page becomes new by itself, and what was open and chosen stays so', async () => {
    const { page, complaints } = await look({ viewport: { width: 1440, height: 800 } });
    await page.goto(`${demo.url}/kernel/${RUNNING}`);
    await page.getByText(/kmods are not judged yet/).click();
    const link = page.locator('nav a', { hasText: 'Runs' });
    await link.focus();
    const kernel = await demo.store.kernel(RUNNING);
    const [run] = kernel ? await demo.store.runsOf(kernel.id) : [];
    if (!run) throw new Error('it has not stood before the gate');
    const order = { at: run.startedAt, by: 'ada', kind: 'hold', reason: 'wait for me', kmod: null } as const;
    await demo.store.order(run, order);
    demo.tell();
    await page.getByText('wait for me').first().waitFor();
    expect(await page.locator('details[open] summary').allTextContents()).toEqual([
      '14 kmods are not judged yet',
    ]);
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Runs');
    expect(complaints).toEqual([]);
    const first = await look({});
    await first.page.goto(demo.url);
    expect(await first.page.locator('article.need').count()).toBe(2);
    await demo.store.order(run, { ...order, kind: 'release', reason: '' });
    demo.tell();
    await expect.poll(() => first.page.locator('article.need').count(), PATIENT).toBe(1);
  });

  test('nothing from outside is obeyed', async () => {
    const hostile = await demo.serve(hostileSources);
    try {
      const { page, complaints } = await look({ viewport: { width: 1440, height: 800 } }, hostile.url);
      for (const [name, path] of PATHS) {
        if (name === 'missing') continue;
        await page.goto(`${hostile.url}${path}`);
        expect(
          await page.evaluate("document.querySelectorAll('#evil, img, script:not(main ~ script)').length"),
          name,
        ).toBe(0);
        expect(await page.evaluate("document.querySelectorAll('script').length"), name).toBe(1);
        expect(
          await page.evaluate("[...document.links].filter(({ protocol }) => protocol !== 'http:').length"),
        ).toBe(0);
        const text = (await page.locator('body').textContent()) ?? '';
        expect(text, name).toContain('<script>alert(2)</script>');
        for (const order of ['\u001b', '\u202e', '\u2066']) expect(text).not.toContain(order);
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(1440);
      }
      expect(complaints).toEqual([]);
    } finally {
      await hostile.close();
    }
  });
});
