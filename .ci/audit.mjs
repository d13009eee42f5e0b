#!/usr/bin/env node
// What is shipped (an SBOM in build/), and its known holes, where the registry tells of any. Ends with 1 where one is high or
// critical; a registry that answers no audits is no reason to fail, and is told of.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';

const FILE = 'build/sbom.cdx.json';
const sbom = execFileSync('npm', ['run', '--silent', 'sbom'], { encoding: 'utf8', maxBuffer: 2 ** 28 });
mkdirSync('build', { recursive: true });
writeFileSync(FILE, sbom);
process.stdout.write(`${FILE}: ${JSON.parse(sbom).components.length} packages are shipped\n`);

const { stdout } = spawnSync('npm', ['audit', '--omit', 'dev', '--json'], {
  encoding: 'utf8',
  maxBuffer: 2 ** 28,
});
const found = parse(stdout);
const counts = found?.metadata?.vulnerabilities;
if (!counts) {
  process.stdout.write(
    `SKIPPED: npm audit: the registry answers none (${found?.message ?? found?.error?.summary ?? 'no answer'})\n`,
  );
} else {
  const told = Object.entries(counts).filter(([level, count]) => level !== 'total' && count > 0);
  process.stdout.write(
    `npm audit: ${told.map(([level, n]) => `${n} ${level}`).join(', ') || 'no known hole'}\n`,
  );
  for (const { name, severity, via } of Object.values(found.vulnerabilities))
    process.stdout.write(`  ${severity}: ${name}: ${via.map((one) => one.title ?? one).join('; ')}\n`);
  if (counts.high + counts.critical > 0) process.exitCode = 1;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
