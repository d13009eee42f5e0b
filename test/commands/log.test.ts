/** What the log looks like, for each of those who read it. */
import { expect, test } from 'vitest';
import { createLog, type LogFormat } from '../../src/commands/log.ts';

function logged(format: LogFormat, write: (log: ReturnType<typeof createLog>) => void): string[] {
  let written = '';
  const stream = {
    write(text: string) {
      written += text;
    },
  };
  write(createLog(format, 'debug', stream));
  return written.trimEnd().split('\n');
}

test('JSON has levels by name and times in ISO 8601', () => {
  const before = Date.now();
  const [line = ''] = logged('json', (log) => log.child({ part: 'bus' }).warn({ queue: 'q' }, 'gone'));
  const { time, ...rest } = JSON.parse(line);
  expect(rest).toEqual({ level: 'warn', part: 'bus', queue: 'q', msg: 'gone' });
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Date.parse(time)).toBeGreaterThanOrEqual(before);
});

test('for journald each line begins with its priority, and has no time of its own', () => {
  const lines = logged('journald', (root) => {
    const log = root.child({ part: 'koji' });
    log.debug({ method: 'getTag', ms: 3 }, 'hub call');
    log.info('Koji 1.35.0');
    log.warn({ reason: 'refused' }, 'tries again later');
    log.error('lost');
    log.fatal('over');
  });
  expect(lines).toEqual([
    '<7>koji: hub call {"method":"getTag","ms":3}',
    '<6>koji: Koji 1.35.0',
    '<4>koji: tries again later {"reason":"refused"}',
    '<3>koji: lost',
    '<2>koji: over',
  ]);
});

test('for journald each line of a stack has the priority of its message, and nothing forges one', () => {
  const lines = logged('journald', (log) => log.error({ err: new Error('x\n<7>y') }, 'a\n<7>b'));
  expect(lines.length).toBeGreaterThan(3);
  for (const line of lines) expect(line).toMatch(/^<3>/);
});

test('made readable, a line has its time and level by name', () => {
  const [line] = logged('pretty', (log) => log.child({ part: 'bus' }).info('listening'));
  expect(line).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: bus: listening$/);
});
