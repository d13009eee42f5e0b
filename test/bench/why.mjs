/**
 * `npm run bench`: how long `kmod-gate why` takes from two vmlinuz to causes as a whole process, unpacking them included,
 * beside pahole and bpftool, which only print the types that are handed to them unpacked; and how long two real BTF of 100,000
 * types take in memory. Exits with 1 where a goal is missed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { findCauses } from '../../dist/btf/causes.js';
import { readBtf } from '../../dist/btf/reader.js';
import { parseSymvers } from '../../dist/kabi/text.js';
import { readImage } from '../../dist/symbols/image.js';
import { unpack } from '../../dist/symbols/unpack.js';

const ROUNDS = 5;
/** Most milliseconds for two kernels in memory. */
const MEMORY_GOAL = 1000;
const MODULES = '/usr/lib/modules';

/** @param {string} path from the top of the project */
const project = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** @param {string[]} cells */
function print([first = '', ...others]) {
  process.stdout.write(`${first.padEnd(40)}${others.map((cell) => cell.padStart(12)).join('')}\n`);
}

/** The best of several: what the machine does beside only ever adds. @param {() => void} run */
function best(run) {
  const times = Array.from({ length: ROUNDS }, () => {
    const before = performance.now();
    run();
    return performance.now() - before;
  });
  return Math.min(...times);
}

/** Run a program to its end, and throw away what it prints. @param {string} program @param {string[]} args */
function run(program, ...args) {
  const { error, status, stderr } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  if (error || (status ?? 2) > 1) throw new Error(`${program}: ${error?.message ?? stderr}`);
}

/** A real kernel's file, twice, and its types unpacked for the others. */
async function benchProcesses() {
  const version = readdirSync(MODULES).find((it) => existsSync(`${MODULES}/${it}/vmlinuz`));
  if (version === undefined) {
    process.stdout.write(`skipped: no vmlinuz is in ${MODULES}; .ci/run puts one there\n`);
    return;
  }
  const vmlinuz = `${MODULES}/${version}/vmlinuz`;
  const image = await readImage(readFileSync(vmlinuz), vmlinuz);
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-bench-'));
  try {
    const btf = join(folder, 'btf');
    writeFileSync(btf, image?.btf ?? '');
    const why = [project('dist/main.js'), 'why', '--baseline', vmlinuz, '--kernel', vmlinuz, '--json'];
    /** @param {string} program @param {string[]} args */
    const twice =
      (program, ...args) =>
      () => {
        for (let i = 0; i < 2; i++) run(program, ...args);
      };
    const peers = {
      'ours, two vmlinuz to causes': () => run(process.execPath, ...why),
      'bpftool, two BTF as C': twice('/usr/sbin/bpftool', 'btf', 'dump', 'file', btf, 'format', 'c'),
      'bpftool, two BTF as JSON': twice('/usr/sbin/bpftool', '--json', 'btf', 'dump', 'file', btf),
      'pahole, two BTF': twice('/usr/bin/pahole', btf),
      'node that does nothing': () => run(process.execPath, '-e', ''),
    };
    const times = Object.entries(peers).map(([name, it]) => ({ name, ms: best(it) }));
    const ours = times[0]?.ms ?? Number.NaN;
    print([`\n${vmlinuz}`, 'ms', 'to ours']);
    for (const { name, ms } of times) print([name, ms.toFixed(0), `${(ms / ours).toFixed(2)}x`]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Two real kernels that differ. @returns {Promise<string[]>} what is not as fast as it must be */
async function benchMemory() {
  const [before, after] = await Promise.all(
    ['6.1.170', '6.1.176'].map((version) =>
      unpack(readFileSync(project(`config/demo/${version}.btf.xz`)), version),
    ),
  );
  const [was, now] = ['6.1.170', '6.1.176'].map((version) =>
    parseSymvers(gunzipSync(readFileSync(project(`config/demo/${version}.symvers.gz`))).toString(), version),
  );
  const exports = [...now.values()].flatMap(({ name: symbol, crc, provider }) => {
    const old = was.get(symbol);
    return old ? [{ symbol, provider, isChanged: old.crc !== crc }] : [];
  });
  let found;
  let types = 0;
  const ms = best(() => {
    const btfs = { before: readBtf(before, 'before'), after: readBtf(after, 'after'), modules: new Map() };
    types = btfs.after.end - 1;
    found = findCauses(btfs, exports);
  });
  print([`\ntwo BTF of ${types} types, in memory`, 'ms', 'causes', 'explained']);
  print([
    'read, compared, counted',
    ms.toFixed(0),
    String(found.causes.length),
    String(found.symbols.explained),
  ]);
  return ms <= MEMORY_GOAL ? [] : [`two BTF of ${types} types take longer than ${MEMORY_GOAL} ms`];
}

await benchProcesses();
const slow = await benchMemory();
for (const line of slow) process.stderr.write(`${line}\n`);
if (slow.length > 0) process.exitCode = 1;
