/** What `npm pack` takes, what it links to, and on which Node it installs. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const manifest = JSON.parse(textOf('package.json'));

const [pack] = JSON.parse(
  execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: ROOT, encoding: 'utf8' }),
);
const packed: readonly string[] = pack.files.map(({ path }: { path: string }) => path);
const isPacked = (path: string) => packed.some((file) => file === path || file.startsWith(`${path}/`));
const documents = packed.filter((file) => file.endsWith('.md'));

describe('the package', () => {
  test('holds the program, its configuration and its documents', () => {
    const wanted = ['dist/main.js', 'config/kmod-gate.toml', 'config/demo', 'deploy', 'docs', 'LICENSE'];
    expect([...wanted, 'README.md', 'DESIGN.md'].filter((path) => !isPacked(path))).toEqual([]);
    expect(packed.filter((file) => /^(src|test|node_modules)\//.test(file))).toEqual([]);
  });

  test('holds no map whose sources are not in it', () => {
    const mapped = packed.filter(
      (file) => file.endsWith('.js') && textOf(file).includes('sourceMappingURL='),
    );
    expect([...mapped, ...packed.filter((file) => file.endsWith('.map'))]).toEqual([]);
  });

  test.each(documents)('%s links to what is in it, or to the web', (document) => {
    const links = [...textOf(document).matchAll(/\]\(<?([^)\s>]+)/g)].map(([, link = '']) => link);
    const missing = links
      .filter((link) => !/^(https?:|mailto:|#)/.test(link))
      .map((link) => normalize(join(dirname(document), link.replace(/#.*/, ''))).replace(/\/$/, ''))
      .filter((path) => !isPacked(path));
    expect(missing).toEqual([]);
  });
});

describe('installing', () => {
  const { satisfies } = createRequire(import.meta.url)('semver') as {
    satisfies(version: string, range: string): boolean;
  };
  const lock: { packages: Record<string, { engines?: { node?: string }; resolved?: string }> } = JSON.parse(
    textOf('package-lock.json'),
  );
  const packages = Object.entries(lock.packages);

  test('everything in the lock file admits Node 20.19', () => {
    expect(manifest.engines.node).toBe('>=20.19');
    expect(packages.length).toBeGreaterThan(100);
    const refusing = packages.filter(([, { engines }]) => !satisfies('20.19.0', engines?.node ?? '*'));
    expect(refusing.map(([name, { engines }]) => `${name}: ${engines?.node}`)).toEqual([]);
  });

  test('the lock file names no registry but the public one', () => {
    const from = packages.flatMap(([, { resolved }]) => (resolved ? [new URL(resolved).host] : []));
    expect(from.filter((host) => host !== 'registry.npmjs.org')).toEqual([]);
  });

  /** kerberos is MongoDB's, and what src/koji/kerberos.ts loads; the rest is of our lock file. */
  const OWN = ['kerberos@7', ...Object.keys(manifest.devDependencies)];
  const texts = packed.filter((file) => /\.(md|ya?ml|toml|sh|spec|service)$|Containerfile/.test(file));
  test.each(texts)('%s has nothing fetched by a name that the project does not own', (file) => {
    expect(fetchedBy(textOf(file)).filter((name) => !OWN.includes(name))).toEqual([]);
  });

  test('a command that fetches one is seen', () => {
    expect(
      fetchedBy('run `npx kmod-gate run`, or npm\ninstall -g --no-save kmod-gate; npm install --global .'),
    ).toEqual(['kmod-gate', 'kmod-gate']);
  });
});

/** The names of packages that the commands in a text would fetch. */
function fetchedBy(text: string): string[] {
  const commands =
    /\b(?:npx|npm\s+exec|npm\s+install|npm\s+i|npm\s+add)((?:\s+-[-\w]+(?:=\S+)?)*)\s+(@?\w[\w@/.-]*)/g;
  return [...text.matchAll(commands)].map(([, , name = '']) => name);
}
