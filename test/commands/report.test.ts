/** What `explain` and `status` print. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { storedRecords } from '../../src/commands/records.ts';
import { explanationText, status, statusTable } from '../../src/commands/report.ts';
import type { Config } from '../../src/config/config.ts';
import { describeError } from '../../src/core/wording.ts';
import { exampleSources } from '../http/example.ts';
import { makeHistory } from '../store/history.ts';

const source = (file: string, line: number, message: string) =>
  ({ kind: 'source', arch: 'x86_64', file, line, message }) as const;

const PLAIN = { write() {}, colour: false };

/** The blocked kernel of the example, with these first errors of its first kmods. */
async function explained(...errors: ReturnType<typeof source>[][]): Promise<string> {
  const seen = await exampleSources(0).explain('4711');
  if (!seen) throw new Error('no such kernel');
  const broken = (list: ReturnType<typeof source>[]) => ({
    outcome: 'broken' as const,
    cause: `does not build on x86_64: ${list[0] && describeError(list[0])}`,
    errors: list,
  });
  const runs = seen.runs.map((run) => ({
    ...run,
    reasons: [],
    kmods: run.kmods.slice(0, errors.length).map((kmod, i) => ({ ...kmod, ...broken(errors[i] ?? []) })),
  }));
  return explanationText(PLAIN, { ...seen, runs });
}

const GONE = "implicit declaration of function 'pci_clear_master'";

test('an error that several kmods share is shown once, with the kmods and where each has it', async () => {
  const text = await explained(
    [source('a.c', 12, GONE), source('a.c', 40, 'unused')],
    [source('b.c', 7, GONE)],
    [source('c.c', 1, 'something else')],
  );
  expect(text.split(GONE)).toHaveLength(2);
  expect(text).toContain(`
First errors of build.log
  x86_64  ${GONE}
    kmod-acpi-call-1.2.2-3.el10  a.c:12
    kmod-bbswitch-0.8-9.el10     b.c:7
  kmod-acpi-call-1.2.2-3.el10
    x86_64  a.c:40: unused
  kmod-drbd-9.2.14-1.el10
    x86_64  c.c:1: something else
`);
  expect(text).toMatch(/kmod-bbswitch.* does not build on x86_64: b\.c:7: an error of 2 kmods, see below$/m);
  expect(text).toMatch(/kmod-drbd.* does not build on x86_64: c\.c:1: something else$/m);
});

test('an error that one kmod has in two places is its own', async () => {
  const text = await explained([source('a.c', 1, GONE), source('b.c', 2, GONE)]);
  expect(text).toContain(
    `  kmod-acpi-call-1.2.2-3.el10\n    x86_64  a.c:1: ${GONE}\n    x86_64  b.c:2: ${GONE}\n`,
  );
});

test('explain says who holds it, by what it is measured, whose failure each is and who waived it', async () => {
  const seen = await exampleSources(0).explain('4730');
  if (!seen) throw new Error('no such kernel');
  const text = explanationText(PLAIN, seen);
  const lines = text.split('\n').map((line) => line.replace(/ {2,}/g, '  ').trimEnd());
  const row = (nvr: string) => lines.slice(lines.indexOf('Kmods')).find((line) => line.includes(nvr));
  expect(lines[1]).toMatch(
    /^ {2}held by grace since .*: QA looks at it first; "kmod-gate release kernel-6.12.0-143.el10" ends it$/,
  );
  expect(lines[2]).toBe('  baseline: kernel-6.12.0-140.el10');
  expect(row('kmod-jool')).toMatch(/^ {2}broken, waived {2}kmod {2}kmod-jool\S+ {2}\S+ {2}see 4. above$/);
  expect(row('kmod-nvidia')).toMatch(
    /^ {2}inconclusive {2}builder {2}\S+ {2}\S+=9230, 3 tries {2}see 3. above$/,
  );
  expect(row('kmod-drbd')).toMatch(/^ {2}already-broken {2}kmod {2}.* {2}see 5. above$/);
  expect(row('kmod-vendor')).toMatch(/^ {2}inconclusive {2}wrong kernel {2}.* tested the wrong kernel on/);
  expect(row('kmod-bbswitch')).toMatch(/^ {2}ok, to rebuild {2}- {2}.* {2}needs a rebuild, and builds$/);
  expect(text).toContain('  already-broken: it fails with kernel-6.12.0-140.el10 too, so it does not count');
  expect(text).toMatch(/ {2}verdict block$/m);
  expect(lines.slice(lines.indexOf('Rebuilt')).slice(2, 4)).toEqual([
    '  kmod-bbswitch-0.8-9.1.el10  kmods10  https://koji.example.org/koji/taskinfo?taskID=9301  done',
    '  kmod-zfs  kmods10  -  asked',
  ]);
});

test('before a verdict, explain says of a waived kmod who waived it', async () => {
  const seen = await exampleSources(0).explain('4730');
  if (!seen) throw new Error('no such kernel');
  const runs = seen.runs.map((run) => ({
    ...run,
    verdict: null,
    reasons: [],
    baseline: null,
    held_by: null,
  }));
  const text = explanationText(PLAIN, { ...seen, runs });
  expect(text).toMatch(
    /incompatible pointer type \(waived by ada until 2026-12-01 00:00 UTC: the vendor ships .*\)$/m,
  );
  expect(text).toContain('  baseline: none, no kernel had passed when it began\n');
});

test('status counts what is waived as such, and says who holds a run that goes on', async () => {
  const [held, running] = (await exampleSources(0).runs({ limit: 9 }))?.runs ?? [];
  if (!held || !running) throw new Error('no such runs');
  const hold = { by: 'grace', at: 0, reason: '' };
  const [, first, second] = statusTable(PLAIN, [held, { ...running, held_by: hold }]).split('\n');
  expect(first).toMatch(
    / {2}1 broken, 1 unattributed, 2 inconclusive, 1 waived, 1 already-broken, 6 ok \(1 to rebuild\) {2}held by grace: QA looks at it first; kmod-gate release ends it$/,
  );
  expect(second).toMatch(/ {2}waits for 5 scratch builds; held by grace$/);
});

test('colours: what is waived is a person’s, what was broken before is dim', async () => {
  const seen = await exampleSources(0).explain('4730');
  if (!seen) throw new Error('no such kernel');
  const text = explanationText({ write() {}, colour: true }, seen);
  expect(text).toContain('\u001b[35mbroken, waived');
  expect(text).toContain('\u001b[2malready-broken');
  expect(text).toContain('\u001b[32mok, to rebuild');
  expect(text).toContain('\u001b[31munattributed');
});

test('status lists a page, and says how the next one is had', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  try {
    const path = join(folder, 'gate.db');
    await makeHistory(path, { closed: 3, live: 1, kmods: 2 });
    const config = { store: { url: `sqlite:${path}` }, gates: [], koji: {} } as unknown as Config;
    const print = async (options: { json?: true; limit: number; before?: string }) => {
      const written: string[] = [];
      const output = { write: (text: string) => void written.push(text), colour: false };
      return (await status(storedRecords(config), output, { json: false, ...options })) && written.join('');
    };
    expect(await print({ limit: 2 })).toBe(
      `GATE  KERNEL               STATUS   VERDICT  KMODS    STATE
c9s   kernel-5.14.0-4.el9  running  -        2 kmods  as it is
c9s   kernel-5.14.0-3.el9  done     promote  2 ok     moved

Older ones: kmod-gate status --before c9s/1003/1
`,
    );
    const older = await print({ limit: 2, before: 'c9s/1003/1' });
    expect(older).toContain('kernel-5.14.0-1.el9');
    expect(older).not.toContain('Older ones');
    expect(await print({ limit: 2, before: 'c9s/1001/1' })).toBe('There is no older run.\n');
    expect(await print({ limit: 2, before: 'c9s/7/7' })).toBe(false);
    expect(JSON.parse(String(await print({ json: true, limit: 1 })))).toMatchObject({
      runs: [{ run: 'c9s/1004/1', kmods: 2, outcomes: {}, verdict: null }],
      older: 'c9s/1004/1',
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
