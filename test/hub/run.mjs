/** `npm run test:hub`: the acceptance suite on the hub that the environment names. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startVitest } from 'vitest/node';

const HELP = `Usage: npm run test:hub [-- [--write] [--patience DURATION]]

Tries whether a Koji hub does for kmod-gate what it must do. The hub is named by
  KMOD_GATE_HUB_CONFIG=FILE   a kmod-gate configuration whose tags may be played with, or
  KOJI_PROFILE=NAME           a profile of Koji's client; with both, the profile replaces the file's.

Without options it only reads. A test of something that the hub does not have is skipped, and says why.
  --write                take the kernel in the watch tag of the first gate that enforces through a whole run:
                         scratch builds, and then the tags that its verdict asks for
  --patience DURATION    how long that run may take; default: 6h. Interrupted, it leaves its builds and side tag
  --help                 this text

Exit codes: 0 fine, 1 a test failed, 2 the set-up is wrong.
`;

/** How often the gate of `--write` looks at the hub, in ms: a person may be waiting for it. */
const SWEEP = { every: 60_000, poll: 15_000 };

/** A file, though there is none, in which only the profile matters; KOJI_PROFILE replaces its name. */
const PROFILE_ALONE = `
koji.profile = "koji"
store.url = "sqlite::memory:"
[[gate]]
name = "none"
kernels = ["kernel"]
watch = "none"
mode = "observe"
kmods.tag = "none"
build.target = "none"
`;

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Something that the person who started this must mend. */
class SetupError extends Error {}

async function main() {
  const options = readArguments();
  if (options.help) return process.stdout.write(HELP);
  const subject = await readSubject(options);
  process.stdout.write(`${await greet(subject)}\n`);
  const config = 'test/hub/vitest.config.ts';
  await startVitest('test', [], { root, config, watch: false, provide: { subject } });
}

function readArguments() {
  const options = {
    write: { type: 'boolean', default: false },
    patience: { type: 'string', default: '6h' },
    help: { type: 'boolean', default: false },
  };
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${HELP}`);
  }
}

/** What the options and the environment say, as subject.ts has it. */
async function readSubject({ write, patience }) {
  const { KMOD_GATE_HUB_CONFIG: file, KOJI_PROFILE: profile } = process.env;
  if (!file && !profile)
    throw new SetupError(`set KMOD_GATE_HUB_CONFIG or KOJI_PROFILE, to say which hub\n\n${HELP}`);
  const { koji, gates, sweep } = file ? await readConfig(file) : await readProfile();
  const subject = { koji, ...(file && { gate: gates.find(enforces) ?? gates[0] }) };
  if (!write) return subject;
  if (!file) throw new SetupError('--write needs a gate: set KMOD_GATE_HUB_CONFIG');
  if (!enforces(subject.gate)) throw new SetupError(`${file}: --write needs a gate with mode = "enforce"`);
  if (koji.authtype === 'noauth') throw new SetupError(`${file}: --write needs a login in [koji]`);
  const { parseDuration } = await built('config/schema.js');
  const most = parseDuration(patience);
  if (most === undefined) throw new SetupError(`--patience ${patience}: not a duration such as 90m or 6h`);
  return { ...subject, write: { sweep: { ...SWEEP, settle: sweep.settle }, patience: most } };
}

const enforces = ({ mode }) => mode === 'enforce';

async function readConfig(file) {
  const { loadConfig, ConfigError, formatMistakes } = await built('config/config.js');
  try {
    return loadConfig(file);
  } catch (error) {
    throw error instanceof ConfigError ? new SetupError(formatMistakes(error)) : error;
  }
}

async function readProfile() {
  const { parseConfig, ConfigError } = await built('config/config.js');
  try {
    return parseConfig(PROFILE_ALONE, 'KOJI_PROFILE');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new SetupError(error.mistakes.map(({ message }) => message).join('\n'));
  }
}

/** A module of kmod-gate itself, as `npm run build` has left it. */
async function built(module) {
  const url = new URL(`../../dist/${module}`, import.meta.url);
  if (!existsSync(url)) throw new SetupError('dist/ is missing: npm run build makes it');
  return import(url.href);
}

/** Ask the hub who it is and who we are, in a line for people. Throws where it does not answer or let us in. */
async function greet({ koji, gate, write }) {
  const { connectHub } = await built('koji/client.js');
  const { getKojiVersion, getLoggedInUser } = await built('koji/calls.js');
  let hub;
  try {
    hub = connectHub(koji);
    const version = await hub.read(getKojiVersion());
    const user = koji.authtype === 'noauth' ? null : await hub.write(getLoggedInUser());
    const who = user ? `as ${user.name}` : 'without a login';
    const what = write ? 'the gate is run, and tags change' : 'read-only';
    return `Koji ${version} at ${koji.server}, ${who}, ${gate ? `gate ${gate.name}` : 'no gate'}: ${what}`;
  } catch (error) {
    throw new SetupError(`${koji.server}: ${error.message}`);
  } finally {
    await hub?.close();
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
