/** `kmod-gate doctor`: whether hub, bus and store are as the configuration wants them, and what to do where not. */
import type { Config, KojiSettings } from '../config/config.ts';
import { connectHub } from '../koji/client.ts';
import { type Hub, HubError, SettingsError } from '../koji/hub.ts';
import { examineBus } from './doctor/bus.ts';
import { type Check, wrong } from './doctor/check.ts';
import { examineGate } from './doctor/gate.ts';
import { describeSettings, examineHub } from './doctor/hub.ts';
import { examineStore } from './doctor/past.ts';
import { examineTokens } from './doctor/tokens.ts';
import { examineWaiverDb } from './doctor/waiverdb.ts';
import { line, type Output } from './text.ts';

export interface DoctorOptions {
  readonly json: boolean;
  /** How long to listen to the bus, in ms. */
  readonly listen: number;
}

const MARKS: Record<Check['status'], string> = { ok: '✓', wrong: '✗', unsure: '!', info: '·' };

/**
 * Check everything, print a line each and a summary, and change nothing.
 * @returns whether nothing is wrong
 */
export async function doctor(config: Config, output: Output, options: DoctorOptions): Promise<boolean> {
  const checks = await examine(config, options);
  const count = (status: Check['status']) => checks.filter((check) => check.status === status).length;
  const summary = { wrong: count('wrong'), unsure: count('unsure'), ok: count('ok') };
  if (options.json) output.write(`${JSON.stringify({ checks, summary }, null, 2)}\n`);
  else {
    for (const { area, status, what, mend } of checks) {
      output.write(line(`${MARKS[status]} ${area}: ${what}`));
      if (mend) output.write(line(`    ${mend}`));
    }
    output.write(`\n${summary.wrong} wrong, ${summary.unsure} cannot be told, ${summary.ok} fine\n`);
  }
  return summary.wrong === 0;
}

/**
 * All checks of a configuration, in the order in which one would mend them: without a hub or a store no gate starts,
 * without a bus it is only later.
 */
export async function examine(config: Config, { listen }: Pick<DoctorOptions, 'listen'>): Promise<Check[]> {
  const [ofStore, past] = await examineStore(config, config.bus?.queue);
  const [ofBus, ofWaiverDb, [ofHub, ofGates]] = await Promise.all([
    examineBus(config.bus, past, listen),
    examineWaiverDb(config),
    withHub(config.koji, async (hub) => {
      const [checks, known] = await examineHub(hub, config.koji);
      const gates = known ? config.gates.map((gate) => examineGate(known, gate, past, config.greenwave)) : [];
      return [checks, (await Promise.all(gates)).flat()];
    }),
  ]);
  return [...ofHub, ...ofStore, ...ofGates, ...ofBus, ...ofWaiverDb, ...examineTokens(config.http)];
}

/** Checks of the hub, and of the gates; where the login's settings cannot be used, that is all there is to say. */
async function withHub(
  settings: KojiSettings,
  look: (hub: Hub) => Promise<[Check[], Check[]]>,
): Promise<[Check[], Check[]]> {
  let hub: Hub;
  try {
    hub = connectHub(settings);
  } catch (error) {
    if (error instanceof SettingsError || error instanceof TypeError)
      return [[describeSettings(settings, error)], []];
    throw error;
  }
  try {
    return await look(hub);
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    return [
      [wrong('hub', error.message, 'the hub answers no more: see whether it is well, and try again')],
      [],
    ];
  } finally {
    await hub.close();
  }
}
