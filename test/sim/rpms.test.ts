/** The rpms of the simulated Koji: how makers of kernels and kmods lay them out, and what the hub tells of their files. */
import { describe, expect, it } from 'vitest';
import { connectHub } from '../../src/koji/client.ts';
import { isUnknown } from '../../src/koji/hub.ts';
import { Fault } from '../../src/koji/xmlrpc.ts';
import { type Lose, readKernel } from '../../src/reconciler/rpms.ts';
import { type Kernel, type Kmod, loadScenario, splitNvr } from '../../src/sim/scenario.ts';
import type { Rpm } from '../../src/sim/state.ts';
import { transportTo } from '../../src/sim/transport.ts';
import { createWorld } from '../../src/sim/world.ts';

const small = loadScenario(`${import.meta.dirname}/small.toml`);
const OLD = 'kernel-6.1.170-47.el9';
const NEW = 'kernel-6.1.176-50.el9';

describe('the layouts of makers of kernels', () => {
  const symbol = (name: string, rpm?: string) => ({
    ...{ name, crc: '0x0000beef', vmlinux: rpm === undefined },
    ...(rpm !== undefined && { rpm }),
  });
  /** The kernels of a build, whose rpms were told apart by what their headers say. */
  async function read(kernel: Partial<Kernel> & { nvr: string }, variant = '') {
    const { symbols = [] } = kernel;
    const built = { ...splitNvr(kernel.nvr), tags: [], built: true, variants: {}, single: false };
    const exports = new Set(symbols.map(({ name }) => name));
    const world = createWorld({ ...small, kernels: [{ ...built, symbols, exports, ...kernel }], kmods: [] });
    const hub = connectHub({
      ...{ server: 'http://in-memory/kojihub', authtype: 'noauth', timeout: 1000 },
      ...{ transport: transportTo(world), random: () => 0.5, env: {} },
    });
    const store = { rpmSymbols: async () => new Map(), keepRpmSymbols: async () => {} };
    const { id = 0, name = '' } = world.build(kernel.nvr) ?? {};
    const lose: Lose = (_, error) => isUnknown(error);
    const found = await readKernel({ hub, store }, { id, name, variant }, lose);
    await hub.close();
    const table = [...(found.tables.get('x86_64')?.values() ?? [])];
    return {
      exports: table.map(({ name, crc, provider }) => `${name} ${crc.toString(16)} ${provider}`).sort(),
      releases: found.rpms.get('x86_64')?.releases,
      partial: found.partial.get('x86_64'),
    };
  }

  it('Oracle UEK: modules in rpms of many names', async () => {
    const rpm = 'kernel-uek-modules-wireless';
    const nvr = 'kernel-uek-6.12.0-100.el9uek';
    const symbols = [symbol('printk'), symbol('wifi', rpm)];
    expect(await read({ nvr, symbols })).toEqual({
      exports: ['printk beef kernel-uek-core', `wifi beef ${rpm}`],
      releases: ['6.12.0-100.el9uek.x86_64'],
    });
    const { exports, partial } = await read({ nvr, symbols, unreadable: [rpm] });
    expect(exports).toEqual(['printk beef kernel-uek-core']);
    expect(partial).toMatch(/^1 of its rpms cannot be read: .* has no file of kernel-uek-modules-wireless-6/);
  });
  it('Amazon Linux: one rpm, and -modules-extra beside it', async () => {
    const nvr = 'kernel6.12-6.12.0-1.amzn2023';
    const symbols = [symbol('printk'), symbol('dccp', 'kernel6.12-modules-extra')];
    expect((await read({ nvr, symbols, single: true })).exports).toEqual([
      'dccp beef kernel6.12-modules-extra',
      'printk beef kernel6.12',
    ]);
  });
  it('SUSE: a flavour, and modules in packages of their own', async () => {
    const nvr = 'kernel-default-6.4.0-150600.1';
    const symbols = [
      symbol('printk'),
      symbol('nfc', 'kernel-default-extra'),
      symbol('dlm', 'cluster-md-kmp-default'),
    ];
    expect((await read({ nvr, symbols, single: true, flavour: 'default' })).exports).toEqual([
      'dlm beef cluster-md-kmp-default',
      'nfc beef kernel-default-extra',
      'printk beef kernel-default',
    ]);
  });
  it('EL: a variant has a release of its own', async () => {
    const variants = { rt: [symbol('printk'), symbol('kvm', 'kernel-rt-kvm')] };
    expect(await read({ nvr: 'kernel-6.12.0-1.el10', variants }, 'rt')).toEqual({
      exports: ['kvm beef kernel-rt-kvm', 'printk beef kernel-rt-core'],
      releases: ['6.12.0-1.el10.x86_64+rt'],
    });
  });
});

describe('the layouts of makers of kmods', () => {
  const imports = [{ name: 'seq_printf', crc: '0x00000001' }];
  function rpmsOf(kmod: Partial<Kmod>) {
    const kmods = small.kmods.map((one) => (one.name === 'kmod-alpha' ? { ...one, imports, ...kmod } : one));
    const world = createWorld({ ...small, arches: ['x86_64'], kmods });
    const build = world.build('kmod-alpha-1.0-1.el9')?.id;
    const of = world.state.rpms.filter((rpm) => rpm.build_id === build && rpm.arch === 'x86_64');
    return of.map(({ name, requires, files }) => ({
      name,
      requires: requires.flatMap((it) => (it.name.startsWith('rpmlib') ? [] : `${it.name} ${it.version}`)),
      files,
    }));
  }
  const part = (uname: string, crc: string) => ({
    name: `kmod-alpha-${uname}`,
    requires: [`kernel(seq_printf) ${crc}`, `kernel-uname-r ${uname}`],
    files: [`/lib/modules/${uname}/extra/kmod-alpha/kmod-alpha.ko`],
  });
  it('an rpm for each of several kernels has the CRCs that each of them has', () => {
    expect(rpmsOf({ built_for: [OLD, NEW] })).toEqual([
      part('6.1.170-47.el9.x86_64', '0xac8427d8'),
      part('6.1.176-50.el9.x86_64', '0x2529ebe1'),
    ]);
  });
  it('one rpm may have the modules for several', () => {
    expect(rpmsOf({ built_for: [OLD, NEW], one_rpm: true })).toEqual([
      {
        name: 'kmod-alpha',
        requires: ['kernel(seq_printf) 0xac8427d8', 'kernel(seq_printf) 0x2529ebe1'],
        files: ['6.1.170-47.el9.x86_64', '6.1.176-50.el9.x86_64'].flatMap((uname) => part(uname, '').files),
      },
    ]);
  });
  it('SUSE’s are of a flavour', () => {
    expect(rpmsOf({ flavour: 'default' })).toEqual([
      { name: 'kmod-alpha-kmp-default', requires: ['ksym(default:seq_printf) 1'], files: [] },
    ]);
  });
});

describe('headers of an rpm’s file', () => {
  const uname = '6.1.170-47.el9.x86_64';
  const kmods = small.kmods.map((kmod) =>
    kmod.name === 'kmod-alpha'
      ? { ...kmod, built_for: [OLD], unreadable: [`kmod-alpha-${uname}`] }
      : { ...kmod, built_for: [OLD] },
  );
  const world = createWorld({ ...small, kmods });
  const rpm = (name: string) =>
    world.state.rpms.find((it) => it.name.startsWith(name) && it.arch === 'x86_64') as Rpm;
  const ask = (rpmID: number, headers: readonly string[], strict = false) =>
    world.as('kmod-gate').call('getRPMHeaders', { rpmID, headers: [...headers], strict, __starstar: true });
  const FILES = ['DIRNAMES', 'BASENAMES', 'DIRINDEXES'];

  it('tell where its files are, in the way of rpm', () => {
    expect(ask(rpm('kmod-beta').id, FILES)).toEqual({
      DIRNAMES: [`/lib/modules/${uname}/extra/kmod-beta/`],
      BASENAMES: ['kmod-beta.ko'],
      DIRINDEXES: [0],
    });
  });
  // What koji.get_header_fields and fixEncodingRecurse make of an rpm that rpm 4.18 built with such names.
  it('have a question mark for each byte that is no UTF-8, and no control character', () => {
    const odd = { ...rpm('kmod-beta'), id: world.state.rpms.length + 1 };
    const files = [
      '/lib/modules/1/a.ko',
      '/usr/share/caf\u00e9/a',
      '/usr/share/caf\udce9/ab\udce9',
      '/usr/b\u0007',
    ];
    world.state.rpms.push({ ...odd, files: [...files, '/usr/share/caf\u00e9/b'] });
    expect(ask(odd.id, FILES)).toEqual({
      DIRNAMES: ['/lib/modules/1/', '/usr/share/café/', '/usr/share/caf?/', '/usr/'],
      BASENAMES: ['a.ko', 'a', 'ab?', 'b', 'b'],
      DIRINDEXES: [0, 1, 2, 3, 1],
    });
  });
  it('are lists, too, where there is nothing to tell', () => {
    const empty = rpm('kernel-devel');
    expect(ask(empty.id, FILES)).toEqual({ DIRNAMES: [], BASENAMES: [], DIRINDEXES: [] });
  });
  it('are called as they were asked for, and one that rpm does not know is refused', () => {
    expect(ask(rpm('kmod-beta').id, ['dirindexes'])).toEqual({ dirindexes: [0] });
    expect(() => ask(1, ['DIRNAME'])).toThrow(new Fault(1000, 'No such rpm header field: DIRNAME'));
  });
  it('are none where the hub has no file, unless one asks strictly', () => {
    const { id } = rpm('kmod-alpha');
    expect(ask(id, FILES)).toEqual({});
    expect(ask(99_999, FILES)).toEqual({});
    expect(() => ask(id, FILES, true)).toThrow(/^fault 1000: Missing rpm file: kmod-alpha-/);
    expect(() => ask(99_999, FILES, true)).toThrow(new Fault(1000, 'No such rpm: 99999'));
  });
});
