/** What `explain` prints. */
import { expect, test } from 'vitest';
import { explanationText } from '../../src/commands/report.ts';
import { describeError } from '../../src/core/wording.ts';
import { exampleSources } from '../http/example.ts';

const source = (file: string, line: number, message: string) =>
  ({ kind: 'source', arch: 'x86_64', file, line, message }) as const;

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
  return explanationText({ write() {}, colour: false }, { ...seen, runs });
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
