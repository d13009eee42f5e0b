/**
 * What systemd is told of a running gate (sd_notify(3)): that it is ready, that it stops, that it lives. Node opens no
 * Unix datagram sockets, so systemd-notify says it, which is part of systemd. The unit needs NotifyAccess=all for that.
 */
import { execFile } from 'node:child_process';
import type { Logger } from 'pino';

export interface ServiceManager {
  /** The gate works from now on. */
  ready(status: string): Promise<void>;
  /** The gate ends now; no sign of life follows. */
  stopping(): Promise<void>;
}

/** How long one word to systemd may take, in ms. */
const PATIENCE = 10_000;

/**
 * The service manager that started this process. Where none did, or none wants to hear, nothing is said.
 * @param env of it: NOTIFY_SOCKET where to say it, and WATCHDOG_USEC, WATCHDOG_PID after how many µs of silence the process
 * WATCHDOG_PID is killed and started again
 * @param isAlive whether the gate does its work; while it does not, systemd hears nothing
 */
export function serviceManager(env: NodeJS.ProcessEnv, isAlive: () => boolean, log: Logger): ServiceManager {
  if (!env['NOTIFY_SOCKET']) return { ready: async () => {}, stopping: async () => {} };
  let mute = false;
  const say = (...words: string[]) =>
    new Promise<void>((resolve) => {
      if (mute) return resolve();
      execFile('systemd-notify', words, { env, timeout: PATIENCE }, (err) => {
        if (err) log.warn({ err }, 'systemd cannot be told how the gate is: systemd-notify fails');
        // Without the program no later try helps.
        mute = err !== null && err.code === 'ENOENT';
        resolve();
      });
    });
  const silence = Number(env['WATCHDOG_USEC'] ?? 0) / 1_000;
  const isWatched = silence > 0 && Number(env['WATCHDOG_PID'] ?? process.pid) === process.pid;
  let timer: NodeJS.Timeout | undefined;
  const live = () => {
    if (isAlive()) void say('WATCHDOG=1');
    else log.error('no look at the hub ends any more; systemd is not told that the gate lives');
  };
  return {
    async ready(status) {
      await say('READY=1', `STATUS=${status}`);
      if (isWatched) timer = setInterval(live, silence / 3);
    },
    async stopping() {
      clearInterval(timer);
      await say('STOPPING=1');
    },
  };
}
