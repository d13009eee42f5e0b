/** `kmod-gate rehearse`: a configured gate before a Koji in memory, on a clock of its own: a day takes a second or two. */
import { decode } from '../bus/decode.ts';
import type { Config } from '../config/config.ts';
import { type Finding, unknownName } from '../config/mistakes.ts';
import { matcher } from '../core/names.ts';
import { moment, plural } from '../core/wording.ts';
import { connectHub } from '../koji/client.ts';
import { createReconciler } from '../reconciler/reconciler.ts';
import { lineOf, type RunReport, waiverReport } from '../report/report.ts';
import { visible } from '../report/visible.ts';
import { checkPackages } from '../sim/checks.ts';
import { busMessage } from '../sim/messages.ts';
import { actOnHub, endOf, type PlayEntry, type Word } from '../sim/play.ts';
import { readScenario, type Scenario, type ScenarioFile } from '../sim/scenario.ts';
import { nextMoment } from '../sim/tasks.ts';
import { transportTo } from '../sim/transport.ts';
import { createWorld, type World } from '../sim/world.ts';
import { openStore } from '../store/open.ts';
import { CheckError } from './error.ts';
import { createLog } from './log.ts';
import { type Floor, sayOrder, sayUnwaive, sayWaive } from './people.ts';
import { createProgress } from './progress.ts';
import { newestReports, reporting, statusTable } from './report.ts';
import { line, type Output } from './text.ts';

/** Whom the gate logs in as where the scenario has no user of the name in `[koji]`. */
const GATE_USER = 'kmod-gate';
/** The gate's password at the hub in memory, whatever both files say. */
const PASSWORD = 'in-memory-only';
/** Below what happens, before what is said of it. */
const INDENT = ' '.repeat(4);
/** No play has more runs. */
const MOST = 1_000_000;

/** Play a scenario before a configured gate. Throws ConfigError for a scenario that cannot be played. */
export async function rehearse(
  config: Config,
  scenarioFile: string,
  output: Output,
  { json }: { readonly json: boolean },
): Promise<void> {
  const file = readScenario(scenarioFile);
  file.refuse([...checkGates(config, file), ...checkPackages(file)]);
  const { world, reports } = await play(config, file, output);
  output.write(`\n${statusTable(output, reports.map(lineOf))}`);
  if (json) output.write(`${JSON.stringify({ runs: reports.map((report) => summary(report, world)) })}\n`);
}

/** What a run came to, for programs. */
function summary({ nvr, build, gate, verdict, status, ended_at, reasons, kmods }: RunReport, world: World) {
  return {
    nvr,
    gate,
    verdict,
    how: ended_at === null ? null : status,
    reasons,
    kmods: kmods.map(({ name, outcome, cause, arches }) => ({ name, outcome, cause, arches })),
    tags: world.tags(build),
  };
}

// ---- whether the two files go together ----------------------------------------------------------------

/** What the gates need of the scenario, and the scenario of the gates. */
function checkGates({ gates, koji }: Config, { scenario, play }: ScenarioFile): Finding[] {
  const places = gates.flatMap(({ name, watch, kmods, on_pass, on_fail, build, rebuild }) => {
    const changed = Object.entries({ on_pass, on_fail }).flatMap(([end, { tag, untag }]) => [
      ...tag.map((of) => ({ kind: 'tag', of, key: `${end}.tag` })),
      ...untag.map((of) => ({ kind: 'tag', of, key: `${end}.untag` })),
    ]);
    const all = [
      { kind: 'tag', of: watch, key: 'watch' },
      { kind: 'tag', of: kmods.tag, key: 'kmods.tag' },
      ...changed,
      { kind: 'target', of: build?.target, key: 'build.target' },
      { kind: 'target', of: rebuild?.target, key: 'on_pass.rebuild.target' },
    ];
    return all.map((place) => ({ ...place, gate: name }));
  });
  const known = { tag: scenario.tags, target: scenario.targets };
  const missing = (Object.keys(known) as (keyof typeof known)[]).flatMap((kind) => {
    const there = new Set(known[kind].map(({ name }) => name));
    const wanted = places.filter((place) => place.kind === kind);
    const lacking = [...new Set(wanted.flatMap(({ of }) => (of === undefined || there.has(of) ? [] : of)))];
    return lacking.map((name) => {
      const by = wanted.filter(({ of }) => of === name).map(({ gate, key }) => `gate ${gate} as ${key}`);
      const mend = `add a [[${kind}s]] table with name = "${name}", or name another one in the gate's configuration`;
      return {
        path: [`${kind}s`],
        message: `no ${kind} ${name}, which is needed by ${by.join(', ')}; ${mend}`,
      };
    });
  });
  const names = gates.map(({ name }) => name);
  return [
    ...missing,
    ...play.flatMap(({ act, index }) =>
      'gate' in act && act.gate !== null && !names.includes(act.gate)
        ? [unknownName(['play', index, 'gate'], '', 'gate', act.gate, names)]
        : [],
    ),
    ...(gateUser(scenario, koji.user) === undefined ? [noUser(koji.user)] : []),
  ];
}

function gateUser({ users }: Scenario, configured: string | undefined): string | undefined {
  const names = users.map(({ name }) => name);
  return [configured, GATE_USER].find((name) => name !== undefined && names.includes(name));
}

function noUser(configured: string | undefined): Finding {
  const wanted = configured === undefined || configured === GATE_USER ? '' : `${configured}, nor `;
  const message = `nobody whom the gate could be: no user ${wanted}${GATE_USER}; add a [[users]] table with name = "${configured ?? GATE_USER}", and what it may tag to [policy.tag]`;
  return { path: ['users'], message };
}

// ---- the play -----------------------------------------------------------------------------------------

/**
 * Play a scenario that goes with the configuration.
 * @param begin when it begins, ms; absent: as the hub in memory has it
 * @param atEnd is given what there is at the end, before it is let go
 */
export async function play(
  config: Config,
  { scenario, play }: Pick<ScenarioFile, 'scenario' | 'play'>,
  output: Output,
  begin?: number,
  atEnd: (floor: Floor) => Promise<void> = async () => {},
): Promise<{ world: World; reports: RunReport[] }> {
  const user = gateUser(scenario, config.koji.user) ?? GATE_USER;
  const users = scenario.users.map((one) => (one.name === user ? { ...one, password: PASSWORD } : one));
  const world = createWorld({ ...scenario, users }, begin === undefined ? {} : { now: begin });
  const { now } = world;
  const start = now();
  const end = start + endOf(play);
  const progress = createProgress(output, false, (at) => sinceStart(at - start));
  const store = await openStore('sqlite::memory:', { mode: 'write', onEntry: progress.entry });
  const hub = connectHub({
    server: 'http://in-memory/kojihub',
    authtype: 'password',
    ...{ user, password: PASSWORD },
    timeout: config.koji.timeout,
    // The same files give the same play.
    random: () => 0.5,
    env: {},
    transport: transportTo(world),
    clock: { now, sleep: async (ms) => world.tick(ms) },
  });
  const reconciler = createReconciler({
    ...{ gates: config.gates, pace: config.sweep, hub, store, now },
    // What people must know of is in the journal; the rest are bugs.
    log: createLog('pretty', 'error', process.stderr),
    random: () => 0.5,
  });
  let due = start;
  const soon = () => {
    due = now();
  };
  let heard = true;
  world.onMessage((event) => {
    const message = heard ? busMessage(event, { family: 'fedora' }) : null;
    const decoded = message && decode(message);
    if (decoded?.kind !== 'hints') return;
    decoded.hints.forEach(reconciler.hint);
    soon();
  });

  const { length } = scenario.kmods;
  progress.line(
    `${plural(config.gates.length, 'gate')} before a Koji in memory with ${plural(length, 'kmod')}. It begins on ${dayOf(start)}; times are hours since then.`,
  );
  const coming = play.filter(({ at, act }) => start + at <= end && act.kind !== 'end');
  const answer = (text: string) => output.write(text.replace(/^(?=.)/gm, INDENT));
  const floor: Floor = { config, store, now, output: { ...output, write: answer } };
  const perform = async ({ title, heard: told, act }: PlayEntry) => {
    heard = told;
    const about = title === null ? '' : `\n${INDENT}${visible(title)}`;
    const tell = (text: string) =>
      progress.line(`\n--- ${sinceStart(now() - start)}  ${visible(text)}${about}`);
    if (act.kind === 'end') return;
    if (!('gate' in act)) return tell(actOnHub(world, act));
    await speak(act, floor, tell);
    reconciler.hearPeople();
    soon();
  };
  for (let next = start; next <= end; ) {
    world.tick(Math.max(0, next - now()));
    // One at a time, so that the gate has seen what came before.
    const [entry] = coming;
    if (entry && start + entry.at <= now()) await perform(coming.shift() ?? entry);
    if (due <= now()) due = Math.max(now() + 1, await reconciler.step());
    const moments = [due, nextMoment(world.state), coming[0] && start + coming[0].at];
    next = Math.min(...moments.filter((at) => typeof at === 'number'));
  }
  world.tick(Math.max(0, end - now()));
  const newest = await newestReports(reporting(config, store, now), MOST);
  await atEnd(floor);
  await hub.close();
  await store.close();
  return { world, reports: inOrder(newest, config) };
}

/** The newest run of each kernel and gate, in the order in which they began; of one time as the gates are configured. */
function inOrder(newestFirst: readonly RunReport[], { gates }: Config): RunReport[] {
  const newest = new Map<string, RunReport>();
  for (const run of newestFirst) {
    const key = `${run.build} ${run.gate}`;
    if (!newest.has(key)) newest.set(key, run);
  }
  const placeOf = (run: RunReport) => gates.findIndex(({ name }) => name === run.gate);
  return [...newest.values()].sort(
    (a, b) => a.started_at - b.started_at || a.build - b.build || placeOf(a) - placeOf(b),
  );
}

/** `Monday, 2026-01-05 08:00 UTC`. */
const dayOf = (ms: number): string =>
  `${new Date(ms).toLocaleDateString('en', { weekday: 'long', timeZone: 'UTC' })}, ${moment(ms)}`;

/** Hours, minutes and seconds of a play, with room for a thousand hours. */
function sinceStart(ms: number): string {
  const two = (value: number) => String(Math.floor(value) % 60).padStart(2, '0');
  return `${String(Math.floor(ms / 3_600_000)).padStart(3)}:${two(ms / 60_000)}:${two(ms / 1_000)}`;
}

// ---- what persons say ---------------------------------------------------------------------------------

/**
 * Let a person say something to a gate, as the command would, and tell what it answers.
 * @param tell hears the command
 */
export async function speak(word: Word, floor: Floor, tell: (text: string) => void): Promise<void> {
  const { by } = word;
  const gate = word.gate === null ? {} : { gate: word.gate };
  try {
    switch (word.kind) {
      case 'waive': {
        const { kernel, kmod, reason, until } = word;
        const said = { kernel, kmod, ...(until !== null && { until }), reason, by, ...gate };
        tell(spell('waive', said));
        await sayWaive(floor, said);
        return;
      }
      case 'unwaive': {
        const waivers = await waiversMeant(word, floor);
        if (waivers.length === 0)
          tell(
            `${by} wants to end a waiver of ${word.kmod} for ${word.kernel}, but there is none that holds`,
          );
        for (const { id } of waivers) {
          tell(spell(`unwaive ${id}`, { by }));
          await sayUnwaive(floor, String(id), by);
        }
        return;
      }
      default: {
        const { kind, kernel, kmod, reason } = word;
        const said = { ...(kmod !== null && { kmod }), ...(reason !== null && { reason }), by, ...gate };
        tell(spell(`${kind} ${kernel}`, said));
        await sayOrder(floor, kind, kernel, said);
        return;
      }
    }
  } catch (error) {
    if (!(error instanceof CheckError)) throw error;
    floor.output.write(line(`Nothing comes of it: ${error.message}`));
  }
}

/** The waivers that hold and speak of such kernels and kmods, oldest first. */
async function waiversMeant(
  { kernel, kmod, gate }: Extract<Word, { kind: 'unwaive' }>,
  { store, now }: Floor,
): Promise<{ readonly id: number }[]> {
  const meet = (one: string, other: string) => matcher([one])(other) || matcher([other])(one);
  const all = await store.waivers();
  return all
    .filter((waiver) => waiverReport(waiver, now()).state === 'holds')
    .filter((waiver) => meet(waiver.kernel, kernel) && meet(waiver.kmod, kmod))
    .filter((waiver) => gate === null || waiver.gate === gate)
    .reverse();
}

/** A command as it is typed. */
function spell(command: string, options: Readonly<Record<string, string>>): string {
  const quoted = (text: string) => (/^[\w.+:-]+$/.test(text) ? text : JSON.stringify(text));
  const parts = Object.entries(options).map(([name, value]) => `--${name} ${quoted(value)}`);
  return ['$ kmod-gate', command, ...parts].join(' ');
}
