/** What a seed drew, for the real program: in times that people can wait for, and as a configuration file. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/config.ts';
import { formatDuration } from '../../src/config/schema.ts';
import type { Gate, Policy } from '../../src/core/model.ts';
import { type Drawn, GATE_USER, READABLE } from './draw.ts';

/** What people set and do comes so much sooner. */
const SOONER = 60;
/** Builds and repos are so much quicker: less than that, so that a process is killed while they run. */
const QUICKER = 5;
/** Deadline of one call, in ms of the hurried clock: half a real second. */
const TIMEOUT = 30_000;

/** The same world, over in minutes. Nobody waits for the end of a quiet time, so there is none. */
export function hasten(drawn: Drawn): Drawn {
  const { scenario, gates, pace, happenings, stormEnds } = drawn;
  const quick = (ms: number) => Math.ceil(ms / QUICKER);
  const soon = (ms: number) => Math.ceil(ms / SOONER);
  const soonOrNever = (ms: number | null) => (ms === null ? null : soon(ms));
  const { repo_lag, ...timing } = scenario.timing;
  return {
    ...drawn,
    // The program reads from a hub that gives all.
    unreadable: READABLE,
    scenario: {
      ...scenario,
      timing: { ...mapped(timing, quick), repo_lag },
      rules: scenario.rules.map(({ after = 0, before = null, ...rule }) => ({
        ...rule,
        after: soon(after),
        before: soonOrNever(before),
      })),
      kmods: scenario.kmods.map((kmod) => ({
        ...kmod,
        build_time: kmod.build_time === null ? null : quick(kmod.build_time),
      })),
    },
    gates: gates.map((gate) => ({
      ...gate,
      kmods: checked(gate.kmods),
      policy: {
        ...gate.policy,
        longest_build: soonOrNever(gate.policy.longest_build),
        longest_run: soonOrNever(gate.policy.longest_run),
        longest_hold: soonOrNever(gate.policy.longest_hold),
        // Without a hold by the policy it says nothing, and the configuration check refuses it.
        after_hold: [gate.policy.inconclusive, gate.policy.unattributed].includes('hold')
          ? gate.policy.after_hold
          : 'block',
        quiet: [],
      },
    })),
    pace: mapped(pace, soon),
    // The program is given one configuration.
    happenings: happenings
      .filter(({ what }) => what.kind !== 'reconfigure')
      .map(({ at, what }) => ({
        at: soon(at),
        what: what.kind === 'waive' ? { ...what, until: soon(what.until) } : what,
      })),
    stormEnds: soon(stormEnds),
  };
}

/** A gate of no kmods, or of advisory ones alone, is one that the configuration check refuses. */
function checked(kmods: Gate['kmods']): Gate['kmods'] {
  const include = kmods.include.length > 0 ? kmods.include : ['none-*'];
  const advisory = include.every((one) => kmods.advisory.includes(one)) ? [] : kmods.advisory;
  return { ...kmods, include, advisory };
}

const mapped = <T extends Readonly<Record<string, number>>>(of: T, by: (ms: number) => number): T =>
  Object.fromEntries(Object.entries(of).map(([name, ms]) => [name, by(ms)])) as T;

/** Write the configuration of what was drawn into a folder, its store there too. Returns the file, and how it is read. */
export function configure(
  { gates, pace, scenario }: Drawn,
  server: string,
  folder: string,
): { file: string; config: Config } {
  const file = join(folder, 'kmod-gate.toml');
  const { password } = scenario.users.find(({ name }) => name === GATE_USER) ?? {};
  const text = stringify({
    koji: { server, user: GATE_USER, password, timeout: formatDuration(TIMEOUT) },
    store: { url: `sqlite:${join(folder, 'kmod-gate.db')}` },
    sweep: Object.fromEntries(Object.entries(pace).map(([name, ms]) => [name, formatDuration(ms)])),
    gate: gates.map((gate) => tableOf(gate, folder)),
  });
  writeFileSync(file, text);
  return { file, config: loadConfig(file) };
}

/** What is null here is left out there. */
function tableOf({ stablelist, policy, rebuild, on_pass, ...gate }: Gate, folder: string) {
  return {
    ...gate,
    ...(stablelist && {
      stablelist: writeStablelist(stablelist.symbols['*'] ?? [], join(folder, `${gate.name}.stablelist`)),
      on_stablelist: stablelist.effect,
    }),
    policy: policyOf(policy),
    on_pass: { ...on_pass, rebuild },
  };
}

function policyOf(policy: Policy) {
  const limit = (ms: number | null) => (ms === null ? 'none' : formatDuration(ms));
  return {
    ...policy,
    longest_build: limit(policy.longest_build),
    longest_run: limit(policy.longest_run),
    longest_hold: limit(policy.longest_hold),
    evidence_age: limit(policy.evidence_age),
    quiet: [],
  };
}

function writeStablelist(symbols: readonly string[], file: string): string {
  writeFileSync(file, ['[drawn_stablelist]', ...symbols, ''].join('\n'));
  return file;
}
