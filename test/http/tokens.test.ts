/** The file of tokens: what it may say, who may touch it, and that a running gate sees it change. */
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { examineTokens } from '../../src/commands/doctor/tokens.ts';
import { CheckError } from '../../src/commands/error.ts';
import { machineOf } from '../../src/commands/machine.ts';
import { addToken } from '../../src/commands/token.ts';
import type { Config } from '../../src/config/config.ts';
import type { HttpSettings } from '../../src/config/http.ts';
import { TokensError } from '../../src/http/error.ts';
import { lineFor, newToken, openKeyring, parseTokens } from '../../src/http/tokens.ts';
import type { Store } from '../../src/store/store.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ada = { name: 'ada', right: 'write' } as const;
const reader = { name: 'grace@example.org', right: 'read' } as const;
const HASH = `sha256:${'a'.repeat(64)}`;
const mistakes = (text: string): string => {
  try {
    parseTokens(text, 'tokens');
  } catch (error) {
    if (error instanceof TokensError) return error.message;
    throw error;
  }
  return 'none';
};
function fileOf(name: string, text: string, mode = 0o600): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}
function logged() {
  const lines: { msg: string; reason?: string }[] = [];
  return { lines, log: pino({}, { write: (line) => lines.push(JSON.parse(line)) }) };
}

describe('what it says', () => {
  test('each line is a hash, a name, and whether that is for reading alone', () => {
    const [token, other] = [newToken(), newToken()];
    const text = `# who may\n\n${lineFor(token, ada)}  ${lineFor(other, reader).trim()}   # QA\r\n`;
    expect(parseTokens(text, 'tokens').map(({ person }) => person)).toEqual([ada, reader]);
    expect(text).not.toContain(token);
  });

  test('tokens are long and never the same', () => {
    const tokens = Array.from({ length: 50 }, newToken);
    expect(new Set(tokens).size).toBe(50);
    for (const token of tokens) expect(token).toMatch(/^kmg_[\w-]{43}$/);
  });

  test('every mistake is told at once, with its line, and none repeats what may be a token', () => {
    const token = newToken();
    const wrong = [
      `${token} ada`,
      `sha256:abc ada`,
      HASH,
      `${HASH} <b>`,
      `${HASH} ada write`,
      `${HASH} ada read too`,
      `${HASH} ada`,
    ];
    const text = mistakes(wrong.join('\n'));
    expect(text.split('\n').map((line) => line.slice(0, 40))).toEqual([
      'tokens:1: expected "sha256:" and 64 digi',
      'tokens:2: expected "sha256:" and 64 digi',
      'tokens:3: no name behind the hash: say w',
      'tokens:4: the name must be letters, digi',
      'tokens:5: behind the name only "read" ma',
      'tokens:6: behind the name only "read" ma',
    ]);
    expect(text).not.toContain(token);
    expect(mistakes(`${HASH} ada\n${HASH} grace`)).toMatch(/^tokens:2: this token stands there already/);
    expect(mistakes('# nobody yet\n')).toBe('none');
  });
});

describe('who may touch it', () => {
  const token = newToken();
  const open = (file: string) => openKeyring(file, pino({ level: 'silent' }));

  test.each([0o600, 0o400, 0o640, 0o440])('mode %o will do', (mode) => {
    expect(open(fileOf('fine', lineFor(token, ada), mode)).holderOf(token)).toMatchObject(ada);
  });
  test.each([0o620, 0o602, 0o644, 0o666, 0o604])('mode %o lets others in', (mode) => {
    expect(() => open(fileOf('others', lineFor(token, ada), mode))).toThrow(
      'others: others may write or read it, and so let anybody in; "chmod 600" it, or 640',
    );
  });
  test.runIf(process.getuid?.() === 0)('a file of another user lets them in', () => {
    const file = fileOf('strange', lineFor(token, ada));
    chownSync(file, 65_534, 65_534);
    expect(() => open(file)).toThrow('strange: belongs to another user');
  });
  test('what is no file, or is not there, is said to be so', () => {
    expect(() => open(folder)).toThrow(`${folder}: is no file`);
    expect(() => open(join(folder, 'none'))).toThrow(
      /none: cannot be read: ENOENT.*; "kmod-gate token new NAME" makes it/,
    );
    expect(() => open(fileOf('long', '#'.repeat(1_048_577)))).toThrow('is over 1 MiB long');
    symlinkSync(fileOf('behind', lineFor(token, ada)), join(folder, 'link'));
    expect(open(join(folder, 'link')).holderOf(token)).toMatchObject(ada);
  });
});

describe('while a gate runs', () => {
  test('a line that comes lets somebody in, and one that goes keeps them out', () => {
    const [token, other] = [newToken(), newToken()];
    const file = fileOf('changing', lineFor(token, ada));
    const { lines, log } = logged();
    const keyring = openKeyring(file, log);
    expect(keyring.holderOf(token)).toMatchObject({ name: 'ada', right: 'write' });
    expect(keyring.holderOf(other)).toBeUndefined();
    expect(keyring.holderOf('')).toBeUndefined();
    writeFileSync(file, lineFor(other, { name: 'grace', right: 'read' }));
    expect(keyring.holderOf(token)).toBeUndefined();
    expect(keyring.holderOf(other)).toMatchObject({ name: 'grace', right: 'read' });
    expect(lines.map(({ msg }) => msg)).toEqual([`read ${file} again`]);
  });

  test('one that cannot be used lets nobody in until it can; the log says so once', () => {
    const token = newToken();
    const file = fileOf('breaking', lineFor(token, ada));
    const { lines, log } = logged();
    const keyring = openKeyring(file, log);
    writeFileSync(file, `${lineFor(token, ada)}nonsense\n`);
    for (let i = 0; i < 3; i++) expect(() => keyring.holderOf(token)).toThrow(TokensError);
    chmodSync(file, 0o666);
    expect(() => keyring.holderOf(token)).toThrow('others may write');
    rmSync(file);
    expect(() => keyring.holderOf(token)).toThrow('ENOENT');
    expect(lines.map(({ msg }) => msg)).toEqual(Array(3).fill('nobody is let in by a token'));
    fileOf('breaking', lineFor(token, ada));
    expect(keyring.holderOf(token)).toMatchObject(ada);
    expect(JSON.stringify(lines)).not.toContain(token);
  });
});

test('the doctor tells who may write, or each mistake', () => {
  const at = (tokens: string) => examineTokens({ host: '127.0.0.1', port: 0, tokens });
  const lines = [lineFor(newToken(), ada), lineFor(newToken(), ada), lineFor(newToken(), reader)];
  const fine = fileOf('doctor', lines.join(''));
  expect(at(fine)).toEqual([
    { area: 'http', status: 'ok', what: `1 person may write by the API, with ${fine}` },
  ]);
  expect(at(fileOf('doctor', 'one\ntwo\n')).map(({ status, what }) => `${status} ${what}`)).toEqual([
    expect.stringMatching(/^wrong .*doctor:1: expected "sha256:"/),
    expect.stringMatching(/^wrong .*doctor:2: expected "sha256:"/),
  ]);
  expect(examineTokens(undefined)).toEqual([]);
});

test('a gate that other machines reach without TLS says so in its log, where it takes tokens', () => {
  const tokens = fileOf('reached', lineFor(newToken(), ada));
  const warned = (http: Partial<HttpSettings>) => {
    const { lines, log } = logged();
    const config = { gates: [], http: { host: '127.0.0.1', port: 0, ...http } } as unknown as Config;
    machineOf(config, {} as Store, log);
    return lines.map(({ msg }) => msg);
  };
  for (const host of ['0.0.0.0', '::', '192.0.2.1'])
    expect(warned({ host, tokens })).toEqual([expect.stringContaining(`listens at ${host} without TLS`)]);
  for (const host of ['127.0.0.1', '::1']) expect(warned({ host, tokens })).toEqual([]);
  expect(warned({ host: '0.0.0.0' })).toEqual([]);
});

describe('kmod-gate token new', () => {
  function add(file: string | undefined, name: string, right: 'read' | 'write' = 'write') {
    const [out, told]: [string[], string[]] = [[], []];
    const output = { write: (text: string) => void out.push(text), colour: false };
    addToken(output, (text) => void told.push(text), file, { name, right });
    return { token: out.join('').trimEnd(), told: told.join('') };
  }

  test('makes the file for its owner alone, prints the token and nothing else, and keeps only its hash', () => {
    const file = join(folder, 'new');
    const first = add(file, 'ada');
    expect(first.token).toMatch(/^kmg_[\w-]{43}$/);
    expect(first.told).toBe(
      `ada may read and write by this token, which is shown this once; its hash is in ${file}.\n`,
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
    // As somebody's editor may have left it.
    writeFileSync(file, readFileSync(file, 'utf8').trimEnd());
    const second = add(file, 'ada', 'read');
    expect(second.told).toContain('ada has 1 more: take the lines out');
    const keyring = openKeyring(file, pino({ level: 'silent' }));
    expect(keyring.holderOf(first.token)).toMatchObject(ada);
    expect(keyring.holderOf(second.token)).toMatchObject({ name: 'ada', right: 'read' });
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(/^# Who may speak/);
    for (const { token } of [first, second]) expect(text).not.toContain(token);
  });

  test('adds nothing to a file that cannot be used, and takes no strange name', () => {
    const file = fileOf('wrong', 'nonsense\n');
    expect(() => add(file, 'ada')).toThrow(TokensError);
    expect(readFileSync(file, 'utf8')).toBe('nonsense\n');
    for (const name of ['', 'a b', '-ada', 'ada\n', '<b>', 'ada (API)'])
      expect(() => add(join(folder, 'never'), name)).toThrow(CheckError);
    expect(() => add(undefined, 'ada')).toThrow('set tokens in [http], or say --file FILE');
    expect(() => add(join(folder, 'no', 'where'), 'ada')).toThrow(/cannot be written: ENOENT/);
  });
});
