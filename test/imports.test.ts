/** Imports point inwards: which folder of src may know which. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** Folder to what it may import beside itself: folders, or single files. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  files: [],
  core: ['kabi'],
  logs: ['core', 'btf'],
  report: ['core', 'kabi', 'btf'],
  kabi: [],
  changelog: [],
  symbols: ['kabi', 'changelog'],
  btf: ['symbols/bytes.ts'],
  config: ['core', 'kabi', 'symbols', 'files', 'store/address.ts'],
  koji: ['files'],
  bus: ['core'],
  store: ['core', 'kabi', 'report', 'btf/told.ts'],
  http: ['core', 'report', 'btf/told.ts', 'files'],
  waiverdb: ['core', 'store'],
  reconciler: ['core', 'kabi', 'koji', 'logs', 'store', 'btf', 'symbols', 'changelog'],
  tell: ['core', 'report', 'koji', 'bus', 'store', 'config/notice.ts', 'config/tell.ts', 'files'],
  sim: [
    'files',
    'core/names.ts',
    'koji/xmlrpc.ts',
    'bus/message.ts',
    'config/error.ts',
    'config/mistakes.ts',
    'config/schema.ts',
  ],
  commands: [
    'files',
    'core',
    'report',
    'config',
    'kabi',
    'koji',
    'bus',
    'store',
    'symbols',
    'btf',
    'changelog',
    'logs',
    'http',
    'waiverdb',
    'reconciler',
    'tell',
    'sim',
  ],
  'main.ts': ['commands', 'config', 'kabi', 'store', 'http', 'koji'],
};

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const importsOf = (file: string) =>
  [...readFileSync(join(SRC, file), 'utf8').matchAll(/(?:from |import |import\()'([^']+)'/g)].map(
    ([, name = '']) => name,
  );
const folderOf = (file: string) => file.split('/')[0] ?? '';

describe('imports', () => {
  test('there is something to check, and no folder without a rule', () => {
    expect(files.length).toBeGreaterThan(30);
    expect(files.map(folderOf).filter((folder) => !(folder in MAY_IMPORT))).toEqual([]);
  });
  test.each(files)('%s', (file) => {
    const folder = folderOf(file);
    const inside = importsOf(file)
      .filter((name) => name.startsWith('.'))
      .map((name) => relative(SRC, join(SRC, dirname(file), name)));
    const allowed = (path: string) =>
      folderOf(path) === folder ||
      MAY_IMPORT[folder]?.some((may) => path === may || path.startsWith(`${may}/`));
    expect(inside.filter((path) => !allowed(path))).toEqual([]);
    if (['core', 'kabi', 'logs', 'report', 'btf', 'changelog'].includes(folder))
      expect(importsOf(file).filter((name) => !name.startsWith('.'))).toEqual([]);
  });
});
