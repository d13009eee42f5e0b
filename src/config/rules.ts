/**
 * Which keys do not go together. These rules read the document as parsed, not as validated, so that a wrong
 * value in one place hides no contradiction in another: what is not of the right kind they leave to the schema.
 */
import type { KeyPath } from './locate.ts';
import { type Finding, valueAt } from './mistakes.ts';
import type { Profile } from './profile.ts';
import { AUTHTYPES } from './schema.ts';

/** Contradictions within each `[[gate]]`, and names that two gates share. */
export function checkGates(document: unknown): Finding[] {
  const gates = valueAt(document, ['gate']);
  if (!Array.isArray(gates)) return [];
  const each = gates.flatMap((gate, index) => [
    ...checkBuild(gate, ['gate', index]),
    ...checkTagChanges(gate, ['gate', index]),
    ...checkRebuild(gate, ['gate', index]),
    ...checkProof(gate, ['gate', index]),
    ...checkPromise(gate, ['gate', index]),
  ]);
  return [...each, ...sharedNames(gates), ...sharedKernels(gates), ...undoneBlocks(gates)];
}

/** Rpms tell neither module nor namespace of a symbol, which severities ask for: only a list may. */
function checkPromise(gate: unknown, path: KeyPath): Finding[] {
  if (valueAt(gate, ['severities']) === undefined || valueAt(gate, ['stablelist']) !== undefined) return [];
  const message =
    "needs a stablelist that tells modules and namespaces: SUSE's kabi/ARCH/symvers-FLAVOUR, or Module.kabi_ARCH";
  return [{ path: [...path, 'severities'], message }];
}

/** Nothing passes of which no required kmod was tried and is fine: what can never have one is a mistake. */
function checkProof(gate: unknown, path: KeyPath): Finding[] {
  const patterns = (key: string): unknown[] => {
    const list = valueAt(gate, ['kmods', key]);
    return Array.isArray(list) ? list : key === 'include' ? ['*'] : [];
  };
  const covers = (list: readonly unknown[]) =>
    list.length > 0 && patterns('include').every((one) => list.includes(one) || list.includes('*'));
  const of = (key: string) => valueAt(gate, ['policy', key]);
  const always = of('after_hold') === 'promote' ? ', after_hold = "promote" or not' : '';
  const found: Finding[] = [];
  if (covers(patterns('exclude')))
    found.push({
      path: [...path, 'kmods', 'exclude'],
      message: `leaves out all that include takes in: an empty list of kmods lets nothing pass${always}`,
    });
  if (covers(patterns('advisory')))
    found.push({
      path: [...path, 'kmods', 'advisory'],
      message: `makes every kmod advisory: nothing passes of which no required kmod was tried and is fine${always}; for a gate that only tells, set mode = "observe"`,
    });
  const holds = [of('inconclusive') ?? 'hold', of('unattributed') ?? 'block'].includes('hold');
  if (of('after_hold') === 'promote' && !holds && valueAt(gate, ['stablelist']) === undefined)
    found.push({
      path: [...path, 'policy', 'after_hold'],
      message:
        '"promote" goes with inconclusive = "hold" or unattributed = "hold": all that is held else was not tried, or there is no kmod, and that never passes',
    });
  return found;
}

/** A gate that takes kernels out of the tag into which another one blocks them. */
function undoneBlocks(gates: readonly unknown[]): Finding[] {
  return gates.flatMap((gate, index) =>
    tagsOf(gate, 'on_pass', 'untag').flatMap((tag, i) => {
      const other = gates.findIndex(
        (one, at) => at !== index && tagsOf(one, 'on_fail', 'tag').includes(tag) && shareKernels(one, gate),
      );
      if (other < 0) return [];
      const message = `gate[${other}] blocks kernels into "${tag}": a pass here would undo its block; take it out`;
      return [{ path: ['gate', index, 'on_pass', 'untag', i], message }];
    }),
  );
}

const kernelsOf = (gate: unknown): unknown[] => {
  const kernels = valueAt(gate, ['kernels']);
  return Array.isArray(kernels) ? kernels : [];
};
const shareKernels = (a: unknown, b: unknown): boolean =>
  kernelsOf(a).some((name) => kernelsOf(b).includes(name));

/** Only a gate that judges by symbols alone needs nothing to build with. */
function checkBuild(gate: unknown, path: KeyPath): Finding[] {
  if (typeof gate !== 'object' || gate === null) return [];
  if (valueAt(gate, ['build']) !== undefined || valueAt(gate, ['strategy']) === 'symbols') return [];
  return [{ path: [...path, 'build'], message: 'missing, expected a [gate.build] table with a target' }];
}

/** Which kmods need a rebuild is only known where symbols are looked at first, and builds are tried. */
function checkRebuild(gate: unknown, path: KeyPath): Finding[] {
  if (valueAt(gate, ['on_pass', 'rebuild']) === undefined) return [];
  const target = valueAt(gate, ['on_pass', 'rebuild', 'target']);
  if (target !== undefined && target === valueAt(gate, ['build', 'target'])) {
    const message = `"${target}" is the target of scratch builds too, where a kernel is gone once it has passed: name one whose build tag sees on_pass.tag`;
    return [{ path: [...path, 'on_pass', 'rebuild', 'target'], message }];
  }
  if (valueAt(gate, ['strategy']) === 'symbols-then-rebuild') return [];
  const message =
    'nothing is known to need a rebuild with this strategy: set strategy = "symbols-then-rebuild"';
  return [{ path: [...path, 'on_pass', 'rebuild'], message }];
}

function sharedNames(gates: readonly unknown[]): Finding[] {
  const names = gates.map((gate) => valueAt(gate, ['name']));
  return names.flatMap((name, index) => {
    const first = names.indexOf(name);
    if (typeof name !== 'string' || first === index) return [];
    return [{ path: ['gate', index, 'name'], message: `"${name}" is the name of gate[${first}] already` }];
  });
}

/** Two gates that enforce would move the same kernel out of each other's sight. */
function sharedKernels(gates: readonly unknown[]): Finding[] {
  const subjects = (gate: unknown) => {
    const [watch, kernels, mode] = ['watch', 'kernels', 'mode'].map((key) => valueAt(gate, [key]));
    return mode === 'observe' || !Array.isArray(kernels)
      ? []
      : kernels.map((kernel) => `${kernel} in ${watch}`);
  };
  return gates.flatMap((gate, index) => {
    const taken = gates
      .slice(0, index)
      .findIndex((other) => subjects(other).some((it) => subjects(gate).includes(it)));
    if (taken < 0) return [];
    const message = `gate[${taken}] decides over the same kernels in the same tag already; give one of them another tag, or mode = "observe"`;
    return [{ path: ['gate', index, 'watch'], message }];
  });
}

function checkTagChanges(gate: unknown, path: KeyPath): Finding[] {
  const watch = valueAt(gate, ['watch']);
  const findings: Finding[] = [];
  for (const end of ['on_pass', 'on_fail']) {
    for (const [index, tag] of tagsOf(gate, end, 'tag').entries()) {
      const at = [...path, end, 'tag', index];
      if (tagsOf(gate, end, 'untag').includes(tag)) {
        findings.push({ path: at, message: `"${tag}" is in ${end}.untag too: take it out of one of them` });
      }
      if (tag === watch) {
        findings.push({ path: at, message: `"${tag}" is the watched tag: the kernel is in it already` });
      }
      if (end === 'on_fail' && tagsOf(gate, 'on_pass', 'tag').includes(tag)) {
        const message = `"${tag}" is in on_pass.tag too: a pass and a fail could not be told apart`;
        findings.push({ path: at, message });
      }
    }
  }
  return [...findings, ...checkEndsDiffer(gate, path)];
}

/** Where no tag is added, what a pass and a fail take away must differ; in observe mode neither needs to do anything. */
function checkEndsDiffer(gate: unknown, path: KeyPath): Finding[] {
  if (tagsOf(gate, 'on_pass', 'tag').length > 0 || tagsOf(gate, 'on_fail', 'tag').length > 0) return [];
  const [pass, fail] = [tagsOf(gate, 'on_pass', 'untag'), tagsOf(gate, 'on_fail', 'untag')];
  if (pass.toSorted().join(' ') !== fail.toSorted().join(' ')) return [];
  if (pass.length > 0) {
    const message =
      'does the same as on_pass: a pass and a fail could not be told apart; add a tag to one of them';
    return [{ path: [...path, 'on_fail'], message }];
  }
  if (valueAt(gate, ['mode']) === 'observe') return [];
  const message =
    'enforce mode, but neither on_pass nor on_fail names a tag: name one, or set mode = "observe"';
  return [{ path, message }];
}

function tagsOf(gate: unknown, end: string, change: string): string[] {
  const tags = valueAt(gate, [end, change]);
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
}

/** Whether `[koji]` names one hub. */
export function checkHub(document: unknown): Finding[] {
  const koji = valueAt(document, ['koji']);
  if (typeof koji !== 'object' || koji === null) return [];
  const [profile, server] = [valueAt(koji, ['profile']), valueAt(koji, ['server'])];
  if (profile === undefined && server === undefined) {
    return [{ path: ['koji'], message: 'neither profile nor server: give one of them, to say which hub' }];
  }
  if (profile !== undefined && server !== undefined) {
    const message = 'both server and profile say which hub: take one of them out';
    return [{ path: ['koji', 'server'], message }];
  }
  return [];
}

/** Whether somebody can have a token where reading wants one. */
export function checkReading(document: unknown): Finding[] {
  const of = (key: string) => valueAt(document, ['http', key]);
  if (of('read') !== 'token' || of('tokens') !== undefined) return [];
  return [
    { path: ['http', 'read'], message: '"token", but nobody has one: name the file of tokens with tokens' },
  ];
}

/** Whether the gate can log in with what `[koji]` and, behind it, its profile say. */
export function checkLogin(document: unknown, profile: Partial<Profile>): Finding[] {
  const of = (key: 'authtype' | 'user' | 'password' | 'cert') =>
    valueAt(document, ['koji', key]) ?? profile[key];
  const [user, password] = [of('user'), of('password')];
  const said = valueAt(document, ['koji', 'authtype']) === undefined ? 'profile' : 'authtype';
  if (said === 'profile' && !isKnownAuthtype(profile.authtype)) {
    const message = `the profile has authtype = ${profile.authtype}; set one of ${AUTHTYPES.join(', ')} here`;
    return [{ path: ['koji', 'profile'], message }];
  }
  if (password !== undefined && user === undefined) {
    return [{ path: ['koji', 'password'], message: 'a password without a user: set user too' }];
  }
  if (
    password === undefined &&
    user !== undefined &&
    !['noauth', 'ssl', 'kerberos'].includes(String(of('authtype')))
  ) {
    return [{ path: ['koji', 'user'], message: 'a user without a password: set password too' }];
  }
  if (of('cert') === undefined && of('authtype') === 'ssl') {
    return [{ path: ['koji', said], message: 'a login by certificate: set cert too' }];
  }
  if (user === undefined && of('authtype') === 'password') {
    return [{ path: ['koji', 'authtype'], message: 'a login by password: set user and password too' }];
  }
  return [];
}

/** Whether a password would go over the network as it is, to another host, without the file saying that it is meant. */
export function checkPlaintext(document: unknown, profile: Partial<Profile>): Finding[] {
  const server = ['koji', valueAt(document, ['koji', 'server']) === undefined ? 'profile' : 'server'];
  const hub = otherHost(valueAt(document, ['koji', 'server']) ?? profile.server, 'http:');
  const authtype = valueAt(document, ['koji', 'authtype']) ?? profile.authtype ?? 'password';
  const password = valueAt(document, ['koji', 'password']) ?? profile.password;
  const findings: Finding[] = [];
  if (hub && authtype === 'password' && password !== undefined && !saidPlaintext(document, 'koji'))
    findings.push({ path: server, message: `http:// to ${hub.host} ${READABLE} https://${MEANT}` });
  const own = valueAt(document, ['messages', 'url']);
  return [
    ...findings,
    ...checkBusPlaintext(document, typeof own === 'string' ? [own] : [], ['messages', 'url'], 'messages'),
  ];
}

/** The same of a broker: `urls` are its addresses, and `path` says where they come from. */
export function checkBusPlaintext(
  document: unknown,
  urls: readonly string[],
  path: KeyPath,
  table = 'bus',
): Finding[] {
  if (saidPlaintext(document, table)) return [];
  return urls.flatMap((url) => {
    const bus = otherHost(url, 'amqp:');
    if (!bus || !(bus.username || bus.password)) return [];
    return [{ path, message: `amqp:// to ${bus.host} ${READABLE} amqps://${MEANT}` }];
  });
}

/** CI messages need a broker to go to. */
export function checkMessages(document: unknown): Finding[] {
  if (valueAt(document, ['messages']) === undefined) return [];
  if (valueAt(document, ['messages', 'url']) !== undefined) return [];
  if (valueAt(document, ['bus', 'protocol']) === 'amqp-1.0') {
    const message =
      'CI messages go by AMQP 0-9-1, and [bus] speaks AMQP 1.0: name a RabbitMQ to send to with url here';
    return [{ path: ['messages'], message }];
  }
  if (valueAt(document, ['bus']) !== undefined) return [];
  return [{ path: ['messages'], message: 'no broker to send to: set url here, or have a [bus]' }];
}

const READABLE = 'lets everybody on the way read the password: use';
const MEANT = ', or set plaintext = true where that is meant';

/** What is neither true nor false is left to the schema. */
export function saidPlaintext(document: unknown, table: string): boolean {
  const said = valueAt(document, [table, 'plaintext']);
  return said !== undefined && said !== false;
}

/** The URL where it is one of this protocol, and of a host that is not this machine itself. */
export function otherHost(text: unknown, protocol: string): URL | undefined {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i;
  return url?.protocol === protocol && !loopback.test(url.hostname) ? url : undefined;
}

function isKnownAuthtype(authtype: string | undefined): boolean {
  return authtype === undefined || AUTHTYPES.some((known) => known === authtype);
}
