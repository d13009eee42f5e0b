/** Channels over a stage: what its gate records is told by its clock. */
import { type Logger, pino } from 'pino';
import { connectHub } from '../../src/koji/client.ts';
import type { Channel } from '../../src/tell/channel.ts';
import type { Sources } from '../../src/tell/subject.ts';
import { startTelling, type Teller } from '../../src/tell/teller.ts';
import type { Stage } from '../scenarios/stage.ts';

export const silent = pino({ level: 'silent' });

export const CONTACT = {
  name: 'kmod-gate',
  team: 'Kernel gating',
  docs: 'https://gate.example.org/docs',
  email: 'gate@example.org',
};

/** Where channels over a stage read from. */
export function sourcesOf({ store, server }: Stage): Sources {
  const account = { authtype: 'password', user: 'kmod-gate', password: 'gate-password' } as const;
  return {
    store,
    hub: connectHub({ server: server.url, ...account, timeout: 5_000, log: silent }),
    pages: {
      kernel: (build) => `https://gate.example.org/kernel/${build}`,
      task: (id) => `https://koji.example.org/koji/taskinfo?taskID=${id}`,
      build: (id) => `https://koji.example.org/koji/buildinfo?buildID=${id}`,
      hub: server.url,
    },
    ahead: () => 0,
  };
}

export const DAY = 86_400_000;

export function tellOf(stage: Stage, channels: readonly Channel[], log: Logger = silent): Promise<Teller> {
  const { store, world } = stage;
  return startTelling({
    ...{ channels, log, outbox: store, now: () => world.now(), giveUp: 7 * DAY, random: () => 0.5 },
  });
}
