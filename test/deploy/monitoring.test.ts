/** The alert rules and the dashboard of deploy/: whatever they name is there in a real scrape, and in the docs. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { liveGate } from '../commands/livegate.ts';
import { installed } from '../services.ts';
import { NOTICE } from '../tell/people.ts';

const pathOf = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const textOf = (file: string) => readFileSync(pathOf(file), 'utf8');
const RULES = 'deploy/prometheus/kmod-gate.rules.yml';
const rules = textOf(RULES);
const docs = textOf('docs/monitoring.md');

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly description: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly refId: string; readonly expr: string }[];
}
const dashboard: {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
} = JSON.parse(textOf('deploy/grafana/kmod-gate.json'));

/** The names of metrics that a text names, each with the fixed values of its labels. */
function namedIn(text: string): { readonly name: string; readonly labels: readonly [string, string][] }[] {
  return [...text.matchAll(/\b((?:kmod_gate|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', selector = '']) => ({
      name,
      labels: [...selector.matchAll(/(\w+)="([^"$]*)"/g)].map(
        ([, label = '', value = '']): [string, string] => [label, value],
      ),
    }),
  );
}

/** The series of a scrape that has had everything once: a bus that tells when its messages were sent, and a full sweep. */
async function scrape(): Promise<string[]> {
  // Nobody is there to be told, and it is counted all the same.
  const hook = {
    method: 'POST',
    url: 'http://127.0.0.1:1',
    headers: {},
    header_files: {},
    timeout: 1_000,
  } as const;
  const { gate, metrics, get } = await liveGate({ notices: [{ ...NOTICE, webhook: hook }] });
  await gate.subscribed;
  await expect.poll(async () => (await get('/readyz')).status).toBe(200);
  // A gate that shares its store has one more.
  return [...(await metrics()).keys(), 'kmod_gate_acts'];
}

/** What Prometheus itself adds, or calls otherwise than the gate. */
const OF_THE_SCRAPE: readonly string[] = ['job', 'instance'];

test('every metric and label value that is named in rules, dashboard and docs is in a scrape', async () => {
  const series = await scrape();
  const missing = (where: string, text: string) =>
    namedIn(text)
      .filter(({ name }) => !name.endsWith('_'))
      .filter(
        ({ name, labels }) =>
          !series.some(
            (one) =>
              one.split('{')[0] === name &&
              labels
                .filter(([label]) => !OF_THE_SCRAPE.includes(label))
                .every(([label, value]) => one.includes(`${label}="${value}"`)),
          ),
      )
      // The docs name a histogram by itself.
      .filter(({ name }) => where !== 'docs' || !series.some((one) => one.startsWith(`${name}_bucket{`)))
      .map(({ name, labels }) => `${where}: ${name} ${labels.join(' ')}`);
  const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n');
  expect(namedIn(rules).length).toBeGreaterThan(15);
  expect(namedIn(expressions).length).toBeGreaterThan(20);
  expect([
    ...missing('rules', rules),
    ...missing('dashboard', expressions),
    ...missing('docs', docs),
  ]).toEqual([]);
  // What is told to others is seen as a whole.
  const outbox = new Set(series.map((one) => one.split('{')[0] ?? '').filter((name) => /_tell_/.test(name)));
  expect(outbox.size).toBe(4);
  expect([...outbox].filter((name) => !expressions.includes(name))).toEqual([]);
  // And the other way about: each of the gate's own is explained.
  const own = new Set(
    series
      .map((one) => (one.split('{')[0] ?? '').replace(/_(bucket|sum|count)$/, ''))
      .filter((name) => name.startsWith('kmod_gate_')),
  );
  expect([...own].filter((name) => !docs.includes(`\`${name}\``))).toEqual([]);
});

describe('alert rules', () => {
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);

  test('the docs say what to do about each, and about no other', () => {
    expect(alerts.length).toBeGreaterThan(10);
    expect([...docs.matchAll(/^\| `(KmodGate\w+)` \|/gm)].map(([, name]) => name)).toEqual(alerts);
  });

  test('each is seen to fire', () => {
    const tests = textOf('test/deploy/alerts.test.yml');
    expect(alerts.filter((name) => !new RegExp(`\\b${name}\\b`).test(tests))).toEqual([]);
  });
});

describe('the dashboard', () => {
  test('has panels that say what they show, and do not lie over one another', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(panels.filter(({ title, description }) => !title || !description)).toEqual([]);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
  });

  test('asks by variables that it has', () => {
    const known = new Set(['__rate_interval', ...dashboard.templating.list.map(({ name }) => name)]);
    const used = JSON.stringify(dashboard).matchAll(/\$\{?(\w+)/g);
    expect([...used].map(([, name = '']) => name).filter((name) => !known.has(name))).toEqual([]);
  });
});

const PROMTOOL = process.env['PROMTOOL'] ?? '/usr/bin/promtool';
describe.runIf(installed(PROMTOOL, "Debian's prometheus, or PROMTOOL"))('promtool', () => {
  const promtool = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { encoding: 'utf8' });
    return { status, said: stdout + stderr };
  };
  function write(name: string, text: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  }

  test('takes the rules', () => {
    expect(promtool('check', 'rules', pathOf(RULES))).toMatchObject({ status: 0 });
  });

  test('sees each alert fire when it should, and none over a gate that works', () => {
    const tests = textOf('test/deploy/alerts.test.yml').replace('RULES', pathOf(RULES));
    const { status, said } = promtool('test', 'rules', write('alerts.yml', tests));
    expect(said).toContain('SUCCESS');
    expect(status).toBe(0);
  });

  test('takes every question of the dashboard', () => {
    const questions = dashboard.panels.flatMap(({ id, targets }) =>
      targets.map(({ refId, expr }) => ({
        record: `panel:${id}:${refId}`,
        expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, 'x'),
      })),
    );
    const file = { groups: [{ name: 'dashboard', rules: questions }] };
    const { status, said } = promtool('check', 'rules', write('panels.yml', JSON.stringify(file)));
    expect(said).toContain(`${questions.length} rules found`);
    expect(status).toBe(0);
  });

  test('finds nothing wrong with a scrape', async () => {
    const { get } = await liveGate();
    const input = await (await get('/metrics')).text();
    const { status, stdout, stderr } = spawnSync(PROMTOOL, ['check', 'metrics'], { input, encoding: 'utf8' });
    // nodejs_* are as prom-client calls them.
    const own = (stdout + stderr).split('\n').filter((line) => line.startsWith('kmod_gate'));
    expect(own).toEqual([]);
    expect([0, 3]).toContain(status);
  });
});
