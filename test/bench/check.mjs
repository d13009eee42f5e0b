/**
 * `npm run bench`: how long `kmod-gate check` takes for 18 kmod rpms and one kernel as a whole process, beside a
 * Python script with a dict and a shell loop of greps, which must come to the same answers; and how long 500 kmods
 * take against 20 kernels in memory. Exits with 1 where a goal is missed or an answer differs.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { compareKmod } from '../../dist/kabi/compare.js';
import { parseModversions, parseSymvers } from '../../dist/kabi/text.js';

/** @param {string} path from the top of the project */
const project = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const DEMO = project('config/demo');
const RPMS = 18;
const KERNEL = '6.1.176';
const WARM_UP = 2;
const ROUNDS = 12;
/** The shell loop takes part in every so many rounds only. */
const SHELL_EVERY = 4;
/**
 * How many times faster than a peer ours must be, as a whole process: than what people do. Python that asks rpm once for
 * all files is shown too; it takes as long in all as Node alone takes to start, so nothing written for Node can beat it.
 */
const GOALS = { 'Python, rpm for each': 1, shell: 8 };
const KMODS = 500;
const KERNELS = 20;
/** Most milliseconds for all of them in memory. */
const MEMORY_GOAL = 1000;

const kmods = readdirSync(join(DEMO, 'kmods')).map((file) => ({
  name: basename(file, '.modversions'),
  imports: parseModversions(readFileSync(join(DEMO, 'kmods', file), 'latin1'), file),
}));
const kernels = readdirSync(DEMO)
  .filter((file) => file.endsWith('.symvers.gz'))
  .map((file) => ({ version: basename(file, '.symvers.gz'), text: unpacked(file) }));

/** @param {string} file of the demo */
function unpacked(file) {
  return gunzipSync(readFileSync(join(DEMO, file))).toString('latin1');
}

/** @param {string[]} cells */
function print([first = '', ...others]) {
  process.stdout.write(`${first.padEnd(28)}${others.map((cell) => cell.padStart(12)).join('')}\n`);
}

/** @param {number[]} numbers */
function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

// ---- whole processes --------------------------------------------------------------------------------

/**
 * Run a program that may not be installed; that is the end of the bench.
 * @param {string} program @param {string[]} args @returns {string} its standard output
 */
function need(program, ...args) {
  const { error, stdout } = spawnSync(program, args, { encoding: 'utf8' });
  if (!error) return stdout.trim();
  process.stderr.write(`${program} is needed for this benchmark and cannot be started: ${error.message}\n`);
  process.exit(2);
}

/** rpm keeps a database in the home folder: it gets one of its own. @param {string[]} command @param {string} home */
function start([program = '', ...args], home) {
  return spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, HOME: home } });
}

/** Rpms that require what real modules import: the twelve, and some of them again under another name. @param {string} folder */
function buildRpms(folder) {
  const again = kmods.map(({ name, imports }) => ({ name: name.replace('kmod-', 'kmod-more-'), imports }));
  const specs = [...kmods, ...again].slice(0, RPMS).map(({ name, imports }) => {
    const path = join(folder, `${name}.spec`);
    writeFileSync(path, specOf(name, imports));
    return path;
  });
  const rpms = join(folder, 'rpms');
  const macros = [`_topdir ${folder}/build`, `_rpmdir ${rpms}`, '_rpmfilename %%{NVR}.rpm'];
  const defined = macros.flatMap((macro) => ['--define', macro]);
  const { status, stderr } = start(['rpmbuild', '-bb', '--quiet', ...defined, ...specs], folder);
  if (status !== 0) throw new Error(`rpmbuild: ${stderr}`);
  return rpms;
}

/** @param {string} nvr @param {ReturnType<typeof parseModversions>} imports */
function specOf(nvr, imports) {
  const [, name, version, release] = /^(.+)-([^-]+)-([^-]+)$/.exec(nvr) ?? [];
  const crc = (/** @type {number} */ value) => `0x${value.toString(16).padStart(8, '0')}`;
  return `Name: ${name}
Version: ${version}
Release: ${release}
Summary: A kmod
License: GPL-2.0-only
AutoReqProv: no
${imports.map((needed) => `Requires: kernel(${needed.symbol}) = ${crc(needed.crc)}`).join('\n')}
%description
%files
`;
}

/** How many symbols each kmod does not find: of lines `KMOD COUNT`. @param {string} stdout */
function countsOfPeer(stdout) {
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  return Object.fromEntries(lines.map(([kmod, count]) => [kmod, Number(count)]));
}

/** @param {string} stdout of `check --json` */
function countsOfOurs(stdout) {
  const { kmods: compared } = JSON.parse(stdout);
  return Object.fromEntries(
    compared.map(({ name, missing, changed }) => [name, missing.length + changed.length]),
  );
}

/**
 * All peers in turn, for they then meet the same load on the machine.
 * @param {string} python @param {string} symvers @param {string} folder of rpms
 * @returns milliseconds by name
 */
function race(python, symvers, folder) {
  const rpms = readdirSync(folder).map((file) => join(folder, file));
  const check = [project('dist/main.js'), 'check', '--kernel', symvers, '--json', '--', folder];
  const script = project('test/bench/check.py');
  const peers = [
    { name: 'ours', command: [process.execPath, ...check], read: countsOfOurs },
    { name: 'Python, rpm once', command: [python, script, 'once', symvers, ...rpms], read: countsOfPeer },
    { name: 'Python, rpm for each', command: [python, script, 'each', symvers, ...rpms], read: countsOfPeer },
    { name: 'shell', command: ['sh', project('test/bench/check.sh'), symvers, ...rpms], read: countsOfPeer },
    { name: 'node that does nothing', command: [process.execPath, '-e', ''] },
  ];
  const times = new Map(peers.map(({ name }) => [name, []]));
  let answers;
  for (let round = -WARM_UP; round < ROUNDS; round += 1) {
    for (const { name, command, read } of peers) {
      if (name === 'shell' && (round < 0 || round % SHELL_EVERY !== 0)) continue;
      const before = performance.now();
      const { stdout, stderr } = start(command, dirname(symvers));
      const ms = performance.now() - before;
      if (round >= 0) times.get(name)?.push(ms);
      if (stderr) throw new Error(`${name}: ${stderr}`);
      const found = read?.(stdout);
      answers ??= found;
      if (found && !isDeepStrictEqual(found, answers))
        throw new Error(`${name} finds ${JSON.stringify(found)}, ours ${JSON.stringify(answers)}`);
    }
  }
  return new Map([...times].map(([name, all]) => [name, median(all)]));
}

/** @returns {string[]} what is not as fast as it must be */
function benchProcesses() {
  need('rpmbuild', '--version');
  // Not python3 itself: on the PATH that may be a script that looks for the right one first.
  const python = need('python3', '-c', 'import sys; print(sys.executable)');
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-bench-'));
  try {
    const symvers = join(folder, 'Module.symvers');
    writeFileSync(symvers, kernels.find(({ version }) => version === KERNEL)?.text ?? '');
    const times = race(python, symvers, buildRpms(folder));
    const ours = times.get('ours') ?? Number.NaN;
    print([`\n${RPMS} rpms, one kernel`, 'ms', 'to ours']);
    for (const [name, ms] of times) print([name, ms.toFixed(0), `${(ms / ours).toFixed(1)}x`]);
    return Object.entries(GOALS)
      .filter(([name, goal]) => !((times.get(name) ?? 0) / ours >= goal))
      .map(([name, goal]) => `not ${goal} times as fast as ${name}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// ---- in memory --------------------------------------------------------------------------------------

/** Another CRC for every `nth` symbol. @param {number} crc @param {number} at @param {number} nth */
const varied = (crc, at, nth) => (at % nth === 0 ? (crc ^ nth) >>> 0 : crc);

/** The real kernels over and over, each time with other symbols changed. */
function manyKernels() {
  return Array.from({ length: KERNELS }, (_, i) => {
    const { text, version } = kernels[i % kernels.length];
    const symbols = [...parseSymvers(text, version).values()].map((symbol, at) => ({
      ...symbol,
      crc: varied(symbol.crc, at, 50 + i),
    }));
    return { arch: null, variant: null, symbols: new Map(symbols.map((symbol) => [symbol.name, symbol])) };
  });
}

/** The real kmods over and over, each time with other imports changed. */
function manyKmods() {
  return Array.from({ length: KMODS }, (_, i) => {
    const { name, imports } = kmods[i % kmods.length];
    return {
      name: `${name}.${i}`,
      arch: null,
      variant: null,
      imports: imports.map(({ symbol, crc }, at) => ({ symbol, crc: varied(crc, at, 20 + i) })),
      kmodImports: [],
      exports: new Map(),
    };
  });
}

/** @returns {string[]} what is not as fast as it must be */
function benchMemory() {
  const [allKernels, allKmods] = [manyKernels(), manyKmods()];
  const before = performance.now();
  const comparisons = allKernels.flatMap((kernel) => allKmods.map((kmod) => compareKmod(kmod, kernel)));
  const ms = performance.now() - before;
  const changed = comparisons.reduce((sum, comparison) => sum + comparison.changed.length, 0);
  print([`\n${KMODS} kmods, ${KERNELS} kernels`, 'ms', 'comparisons', 'changed']);
  print(['in memory', ms.toFixed(0), String(comparisons.length), String(changed)]);
  return ms <= MEMORY_GOAL
    ? []
    : [`${KMODS} kmods and ${KERNELS} kernels take longer than ${MEMORY_GOAL} ms`];
}

const slow = [...benchProcesses(), ...benchMemory()];
for (const line of slow) process.stderr.write(`${line}\n`);
if (slow.length > 0) process.exitCode = 1;
