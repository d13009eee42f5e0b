/** `kmod-gate doctor`: whether hub, bus and store are as the configuration wants them, and what to do where not. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { closeQuietly, connectBroker, explain, parseBroker } from '../bus/broker.ts';
import type { BusSettings, Config } from '../config/config.ts';
import type { Gate } from '../core/model.ts';
import { selectKmods } from '../core/select.ts';
import { plural } from '../core/wording.ts';
import * as koji from '../koji/calls.ts';
import { connectHub } from '../koji/client.ts';
import { type Answer, type Hub, HubError } from '../koji/hub.ts';
import { openStore } from '../store/open.ts';
import type { Output } from './text.ts';

/** One line of the doctor's report. */
export interface Check {
  /** `hub`, `bus`, `store`, or `gate NAME`. */
  readonly area: string;
  /** `unsure`: it cannot be told without doing it. */
  readonly status: 'ok' | 'wrong' | 'unsure';
  readonly what: string;
  /** What to do about it. */
  readonly mend?: string;
}

const MARKS: Record<Check['status'], string> = { ok: '✓', wrong: '✗', unsure: '!' };

/**
 * Check everything, print a line each, and change nothing.
 * @returns whether nothing is wrong
 */
export async function doctor(config: Config, output: Output, json: boolean): Promise<boolean> {
  const checks = await examine(config);
  if (json) output.write(`${JSON.stringify({ checks }, null, 2)}\n`);
  else {
    for (const { area, status, what, mend } of checks) {
      output.write(`${MARKS[status]} ${area}: ${what}\n${mend ? `    ${mend}\n` : ''}`);
    }
  }
  return checks.every(({ status }) => status !== 'wrong');
}

/** All checks of a configuration, in the order in which one would mend them. */
export async function examine(config: Config): Promise<Check[]> {
  const hub = connectHub(config.koji);
  try {
    const [ofHub, reachable] = await examineHub(hub, config);
    const gates = reachable
      ? await Promise.all(config.gates.map((gate) => examineGate(hub, gate, reachable.loggedIn)))
      : [];
    return [...ofHub, ...gates.flat(), await examineBus(config.bus), await examineStore(config.store.url)];
  } finally {
    await hub.close();
  }
}

const ok = (area: string, what: string): Check => ({ area, status: 'ok', what });
const wrong = (area: string, what: string, mend: string): Check => ({ area, status: 'wrong', what, mend });
const unsure = (area: string, what: string, mend: string): Check => ({ area, status: 'unsure', what, mend });

// ---- the hub --------------------------------------------------------------------------------------

async function examineHub(
  hub: Hub,
  { koji: settings }: Config,
): Promise<[Check[], { loggedIn: boolean } | undefined]> {
  const version = await attempt(hub.read(koji.getKojiVersion()));
  if (!version.ok) {
    const mend =
      'check koji.server, the network, and whether the hub has an outage; the gates were not checked';
    return [[wrong('hub', version.error.message, mend)], undefined];
  }
  const found = ok('hub', `Koji ${version.value} at ${settings.server}`);
  if (settings.authtype === 'noauth') {
    const mend = 'set user and password in [koji]; without a login nothing can be built or tagged';
    return [[found, wrong('hub', 'no login', mend)], { loggedIn: false }];
  }
  const user = await attempt(hub.write(koji.getLoggedInUser()));
  if (!user.ok || !user.value) {
    const why = user.ok ? 'the hub does not say who is logged in' : user.error.message;
    return [[found, wrong('hub', why, 'check user and password in [koji]')], { loggedIn: false }];
  }
  return [[found, ok('hub', `logged in as ${user.value.name}`)], { loggedIn: true }];
}

// ---- a gate ---------------------------------------------------------------------------------------

async function examineGate(hub: Hub, gate: Gate, loggedIn: boolean): Promise<Check[]> {
  const area = `gate ${gate.name}`;
  const tags = await examineTags(hub, gate, area);
  const there = new Set(tags.flatMap(({ name, there }) => (there ? [name] : [])));
  return [
    ...tags.map(({ check }) => check),
    ...(await examineTarget(hub, gate, area)),
    ...(there.has(gate.kmods.tag) ? [await examineKmods(hub, gate, area)] : []),
    ...(await examinePackages(hub, gate, area, there)),
    ...(loggedIn ? await examineAccess(hub, gate, area, there) : []),
    ...(await examineRepo(hub, gate, area)),
  ];
}

async function examineTags(hub: Hub, gate: Gate, area: string) {
  const ends = [gate.on_pass, gate.on_fail].flatMap(({ tag, untag }) => [...tag, ...untag]);
  const names = [...new Set([gate.watch, gate.kmods.tag, ...ends])];
  const answers = await hub.readAll(names.map((name) => koji.getTag(name)));
  return names.map((name, i) => {
    const answer = answers[i] as Answer<koji.Tag>;
    if (!answer.ok) {
      return {
        name,
        there: false,
        check: wrong(area, `tag ${name}: ${answer.error.message}`, `koji add-tag ${name}, or mend the name`),
      };
    }
    const locked = answer.value.locked && ends.includes(name);
    const mend = `koji edit-tag --unlock ${name}, or choose another tag`;
    return {
      name,
      there: true,
      check: locked ? wrong(area, `tag ${name} is locked`, mend) : ok(area, `tag ${name}`),
    };
  });
}

/** A build tag that does not see the watch tag could never show a scratch build the kernel. */
async function examineTarget(hub: Hub, { watch, build }: Gate, area: string): Promise<Check[]> {
  if (!build) return [];
  const target = await attempt(hub.read(koji.getBuildTarget(build.target)));
  if (!target.ok) {
    return [
      wrong(area, `target ${build.target}: ${target.error.message}`, 'koji add-target, or mend build.target'),
    ];
  }
  const buildTag = target.value.build_tag_name;
  const parents = await attempt(hub.read(koji.getFullInheritance(buildTag)));
  if (!parents.ok)
    return [wrong(area, `inheritance of ${buildTag}: ${parents.error.message}`, 'ask the hub admin')];
  const what = `target ${build.target} builds in ${buildTag}`;
  if (buildTag === watch || parents.value.some(({ name }) => name === watch)) {
    return [ok(area, `${what}, which inherits from ${watch}`)];
  }
  const mend = `koji add-tag-inheritance ${buildTag} ${watch}; until then no scratch build can see a kernel of the gate`;
  return [wrong(area, `${what}, which does not inherit from ${watch}`, mend)];
}

async function examineKmods(hub: Hub, gate: Gate, area: string): Promise<Check> {
  const { kmods } = gate;
  const builds = await attempt(hub.read(koji.listTagged(kmods.tag, { latest: true })));
  if (!builds.ok) return wrong(area, `kmods: ${builds.error.message}`, 'ask the hub admin');
  const names = selectKmods(gate, builds.value).map(({ name }) => name);
  if (names.length > 0) return ok(area, `${plural(names.length, 'kmod')} in ${kmods.tag}: ${list(names)}`);
  const mend = `tag kmod builds into ${kmods.tag}, or mend kmods.include and kmods.exclude; a gate without kmods holds every kernel`;
  return wrong(
    area,
    `none of the ${plural(builds.value.length, 'package')} in ${kmods.tag} is a kmod of the gate`,
    mend,
  );
}

/** Koji tags a build only where its package is listed. */
async function examinePackages(
  hub: Hub,
  gate: Gate,
  area: string,
  there: ReadonlySet<string>,
): Promise<Check[]> {
  const tags = [...gate.on_pass.tag, ...gate.on_fail.tag].filter((tag) => there.has(tag));
  const pairs = tags.flatMap((tag) => gate.kernels.map((kernel) => ({ tag, kernel })));
  const answers = await hub.readAll(pairs.map(({ tag, kernel }) => koji.checkTagPackage(tag, kernel)));
  return pairs.map(({ tag, kernel }, i) => {
    const answer = answers[i] as Answer<boolean>;
    if (answer.ok && answer.value) return ok(area, `package ${kernel} is listed in ${tag}`);
    const why = answer.ok ? `package ${kernel} is not listed in ${tag}` : answer.error.message;
    return wrong(area, why, `koji add-pkg --owner OWNER ${tag} ${kernel}`);
  });
}

/** What the hub tells of the user's rights without using them: locks and permissions of tags, not its policy. */
async function examineAccess(
  hub: Hub,
  gate: Gate,
  area: string,
  there: ReadonlySet<string>,
): Promise<Check[]> {
  if (gate.mode === 'observe') return [ok(area, 'observe mode: no tag is changed')];
  const ends = [gate.on_pass, gate.on_fail].flatMap(({ tag, untag }) => [...tag, ...untag]);
  const checks: Check[] = [];
  for (const tag of [...new Set(ends)].filter((name) => there.has(name))) {
    const access = await attempt(hub.write(koji.checkTagAccess(tag)));
    if (!access.ok)
      checks.push(wrong(area, `access to ${tag}: ${access.error.message}`, 'ask the hub admin'));
    else if (!access.value.allowed)
      checks.push(
        wrong(area, `no access to ${tag}: ${access.value.reason}`, 'ask the hub admin for the permission'),
      );
  }
  const mend = 'the hub does not tell; deploy/koji-setup.md has the rules that the gate needs';
  return [...checks, unsure(area, "whether the hub's tag policy lets the gate tag and untag", mend)];
}

async function examineRepo(hub: Hub, { build, watch }: Gate, area: string): Promise<Check[]> {
  if (!build || build.repo === 'wait') return [];
  if (build.repo === 'pin') {
    const mend = "the hub does not tell; its policy build_from_repo_id must allow the gate's user";
    return [unsure(area, 'whether builds may name their repo (repo = "pin")', mend)];
  }
  const sideTags = await attempt(hub.read(koji.listSideTags({ basetag: watch })));
  if (sideTags.ok) return [ok(area, 'the hub has side tags')];
  return [
    wrong(
      area,
      `side tags: ${sideTags.error.message}`,
      'have the sidetag plugin enabled on the hub, or set build.repo = "wait"',
    ),
  ];
}

// ---- bus and store ----------------------------------------------------------------------------------

async function examineBus(bus: BusSettings | undefined): Promise<Check> {
  if (!bus)
    return unsure('bus', 'none is configured', 'the gate only sweeps; add [bus] to hear of kernels at once');
  try {
    const broker = parseBroker(bus.url);
    const model = await connectBroker(broker);
    try {
      const channel = await model.createChannel();
      channel.on('error', () => {});
      await channel.checkExchange(bus.exchange);
      return ok(
        'bus',
        `${broker.name} has the exchange ${bus.exchange}; run makes the queue ${bus.queue} if it is missing`,
      );
    } finally {
      await closeQuietly(model);
    }
  } catch (error) {
    return wrong(
      'bus',
      explain(error).text,
      'check [bus]: url, exchange, and whether the broker lets this user in',
    );
  }
}

async function examineStore(url: string): Promise<Check> {
  const path = url.replace(/^sqlite:/, '');
  const mend = 'name a file in a folder that this user may write to in store.url';
  try {
    if (path !== ':memory:' && !existsSync(path)) {
      accessSync(dirname(path), constants.W_OK);
      return ok('store', `${path} does not exist yet; run makes it`);
    }
    if (path === ':memory:')
      return unsure(
        'store',
        'it is in memory',
        'everything is forgotten at the end; name a file in store.url',
      );
    const store = await openStore(url, { mode: 'read' });
    const live = await store.liveRuns();
    await store.close();
    return ok('store', `${path}: ${plural(live.length, 'run')} under way`);
  } catch (error) {
    return wrong('store', error instanceof Error ? error.message : String(error), mend);
  }
}

// ---- small things -----------------------------------------------------------------------------------

/** A call whose HubError is an answer too. */
async function attempt<T>(call: Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, value: await call };
  } catch (error) {
    if (error instanceof HubError) return { ok: false, error };
    throw error;
  }
}

/** The first few of many. */
function list(names: readonly string[]): string {
  const few = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${few}, …` : few;
}
