/**
 * `npm run bench`: how long a real hub's longest replies take to decode, beside the `xmlrpc` package's deserializer
 * and Python's xmlrpc.client.loads. Exits with 1 unless ours is twice as fast as Python's.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import Deserializer from 'xmlrpc/lib/deserializer.js';
import { decodeResponse } from '../../dist/koji/xmlrpc.js';

const FILES = ['getRPMDeps', 'getRPMHeaders'];
const WARM_UP = 5;
const ROUNDS = 15;
/** How many times faster than Python's our decoder must be. */
const GOAL = 2;

const paths = FILES.map((name) =>
  fileURLToPath(new URL(`../recordings/koji-large/${name}.xml.gz`, import.meta.url)),
);
const replies = paths.map((path) => gunzipSync(readFileSync(path)));
/** Our decoder takes text, as the transport has it. */
const texts = replies.map((bytes) => bytes.toString());

/** @param {() => unknown} run @returns milliseconds that it took */
async function timed(run) {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** The package reads streams; it is as fast with one chunk as with many. @param {Buffer} bytes */
function decodeByPackage(bytes) {
  const deserializer = new Deserializer();
  const stream = Readable.from([bytes], { objectMode: false });
  return promisify(deserializer.deserializeMethodResponse).call(deserializer, stream);
}

/** loads.py, which is asked for one round at a time, so that it meets the same load on the machine as the others. */
async function startPython() {
  const script = fileURLToPath(new URL('loads.py', import.meta.url));
  const python = spawn('python3', [script, ...paths], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(python, 'spawn');
  const answers = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
  return {
    /** @param {number} reply */
    time: async (reply) => {
      python.stdin.write(`${reply}\n`);
      const { value, done } = await answers.next();
      if (done) throw new Error('python3 ended too soon');
      return Number(value);
    },
    stop: () => python.stdin.end(),
  };
}

/** @param {number[]} numbers */
function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

/** @param {Record<string, (reply: number) => Promise<number>>} peers @param {number} reply */
async function race(peers, reply) {
  /** @type {Record<string, number[]>} */
  const times = Object.fromEntries(Object.keys(peers).map((name) => [name, []]));
  for (let round = -WARM_UP; round < ROUNDS; round += 1) {
    for (const [name, time] of Object.entries(peers)) {
      const ms = await time(reply);
      if (round >= 0) times[name].push(ms);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
}

/** @param {string[]} cells */
function print([first = '', ...others]) {
  process.stdout.write(`${first.padEnd(16)}${others.map((cell) => cell.padStart(13)).join('')}\n`);
}

const python = await startPython().catch((error) => {
  process.stderr.write(`python3 is needed to compare with: ${error.message}\n`);
  process.exit(2);
});
const peers = {
  ours: (reply) => timed(() => decodeResponse(texts[reply])),
  xmlrpc: (reply) => timed(() => decodeByPackage(replies[reply])),
  python: python.time,
};

print(['reply', 'MB', 'ours ms', 'xmlrpc ms', 'Python ms', 'xmlrpc/ours', 'Python/ours']);
let slow = false;
for (const [reply, name] of FILES.entries()) {
  const ms = await race(peers, reply);
  const ratio = ms.python / ms.ours;
  slow ||= ratio < GOAL;
  print([
    name,
    (replies[reply].length / 1e6).toFixed(1),
    ...[ms.ours, ms.xmlrpc, ms.python].map((value) => value.toFixed(1)),
    ...[ms.xmlrpc / ms.ours, ratio].map((value) => `${value.toFixed(1)}x`),
  ]);
}
python.stop();
if (slow) {
  process.stderr.write(`not ${GOAL} times as fast as Python's xmlrpc.client.loads\n`);
  process.exitCode = 1;
}
