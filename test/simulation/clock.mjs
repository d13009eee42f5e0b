/**
 * Loaded before a program (`node --import`): its clock and its timers go CLOCK_SPEED times as fast since CLOCK_SINCE, as
 * those of the hub in memory beside it do. So pauses of minutes, which are no setting, cost seconds.
 */
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import promises from 'node:timers/promises';

const since = Number(process.env['CLOCK_SINCE']);
const speed = Number(process.env['CLOCK_SPEED']);
const { now } = Date;
const { setTimeout: later } = globalThis;
const { setTimeout: sleep } = promises;

Date.now = () => since + (now() - since) * speed;
const passed = performance.now.bind(performance);
performance.now = () => passed() * speed;
os.uptime = () => performance.now() / 1_000;
globalThis.setTimeout = (work, ms = 0, ...rest) => later(work, ms / speed, ...rest);
promises.setTimeout = (ms, ...rest) => sleep(ms / speed, ...rest);
syncBuiltinESMExports();
