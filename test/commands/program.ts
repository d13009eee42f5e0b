/** The built program as a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's folder, seen from here or from where `npm run sim:kill` has this compiled. */
const PACKAGE = ['../../', '../../../../']
  .map((up) => new URL(up, import.meta.url))
  .find((folder) => existsSync(new URL('package.json', folder)));
/** A file of the package. */
export const fileOf = (name: string): string => fileURLToPath(new URL(name, PACKAGE));
const MAIN = fileOf('dist/main.js');
if (!existsSync(MAIN))
  throw new Error('dist/main.js is missing: npm run build makes it, npm test does so by itself');

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Start `kmod-gate ARGUMENTS`. */
export function start(
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Program {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd && { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
  });
  const text = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk) => {
    text.stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    text.stderr += chunk;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...text }));
  });
  return { child, ended };
}

/** Run it to its end. */
export const runProgram = (...args: string[]): Promise<Ended> => start(args).ended;

/** A configuration of the gate of the small scenario, its store in a folder, that looks several times a second. */
export function gateConfig(server: string, folder: string): string {
  return `
[koji]
server = "${server}"
user = "kmod-gate"
password = "gate-password"
timeout = "1s"
[store]
url = "sqlite:${join(folder, 'kmod-gate.db')}"
[sweep]
every = "300ms"
poll = "300ms"
settle = "500ms"
[[gate]]
name = "c9s"
kernels = ["kernel"]
watch = "c9s-gate"
[gate.kmods]
tag = "kmods9s-release"
include = ["kmod-*"]
[gate.build]
target = "kmods9s-gate"
[gate.policy]
longest_waiver = "none"
[gate.on_pass]
tag = ["c9s-candidate"]
untag = ["c9s-gate"]
[gate.on_fail]
tag = ["c9s-blocked"]
untag = ["c9s-gate"]
`;
}
