#!/usr/bin/env node
/** What to start, when to stop, and what the exit code says. The commands are in commands/commandline.ts. */
import { CommanderError } from 'commander';
import { commandLine } from './commands/commandline.ts';
import { CheckError, UnreadError } from './commands/error.ts';
import { line, mistakeLines, writeError } from './commands/text.ts';
import { ConfigError } from './config/error.ts';
import { ListenError, TokensError } from './http/error.ts';
import { SymbolFileError } from './kabi/error.ts';
import { HubError, SettingsError } from './koji/hub.ts';
import { StoreError } from './store/error.ts';

/** Exit codes: fine; the answer is no; the input or the set-up is wrong; a bug. */
const EXIT = { ok: 0, no: 1, wrong: 2, bug: 70 } as const;

/** Fires at SIGINT or SIGTERM; a second one of either ends the process at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(EXIT.no);
      stop.abort();
    });
  }
  return stop.signal;
}

/** What the system says of a file or a disk, such as ENOENT, EACCES or ENOSPC: no fault of the program. */
const OF_FILES =
  /^E(NOENT|ACCES|PERM|ISDIR|NOTDIR|EXIST|LOOP|NAMETOOLONG|ROFS|NOSPC|DQUOT|FBIG|IO|MFILE|NFILE|TXTBSY)$/;
const isOfSystem = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error && 'code' in error && OF_FILES.test(String(error.code));

/** What to say on standard error about an error, and the exit code. */
function explainFailure(error: unknown): { code: number; text: string } {
  if (error instanceof CommanderError) return { code: error.exitCode === 0 ? EXIT.ok : EXIT.wrong, text: '' };
  if (error instanceof ConfigError) return { code: EXIT.wrong, text: mistakeLines(error) };
  if (error instanceof UnreadError) return { code: EXIT.wrong, text: error.problems.map(line).join('') };
  if (
    [StoreError, ListenError, TokensError, SettingsError, HubError, CheckError, SymbolFileError].some(
      (kind) => error instanceof kind,
    )
  ) {
    return { code: EXIT.wrong, text: line((error as Error).message) };
  }
  if (isOfSystem(error)) return { code: EXIT.wrong, text: line(error.message) };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    code: EXIT.bug,
    text: `This is a bug in kmod-gate; please report it with these lines:\n${stack}\n`,
  };
}

async function main(): Promise<number> {
  let code: number = EXIT.ok;
  try {
    const setExit = (value: number) => {
      code = value;
    };
    await commandLine({ setExit, stopSignal }).parseAsync();
    return code;
  } catch (error) {
    const failure = explainFailure(error);
    writeError(failure.text);
    return failure.code;
  }
}

// What could not be written was not said; with nowhere to complain, the exit code tells. A long run goes on all the same.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

process.exitCode = await main();
// An explicit exit: a socket that is still being connected would keep the process alive.
process.stdout.write('', () => {
  const unwritten = process.stdout.errored as NodeJS.ErrnoException | null;
  // A reader that has seen enough, and closed its pipe, is no trouble.
  if (unwritten && unwritten.code !== 'EPIPE') {
    process.exitCode = EXIT.wrong;
    writeError(line(`standard output cannot be written: ${unwritten.message}`));
  }
  process.exit();
});
