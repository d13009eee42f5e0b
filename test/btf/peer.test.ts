/** Another program, Debian's bpftool, must agree on every type, name, member and value. */
import { describe, expect, test } from 'vitest';
import { readBtf } from '../../src/btf/reader.ts';
import { bpftool, differences } from './bpftool.ts';
import { BTF } from './kernels.ts';

describe.runIf(bpftool())('bpftool', () => {
  test('of all types of a real kernel', () => {
    const [version, data] = ['6.1.187', BTF['6.1.187']];
    expect(differences(readBtf(data, version), data).slice(0, 3)).toEqual([]);
  });
  // Debian's big-endian kernels have none. All but the first four bytes and the names are numbers of 32 bits.
  test('of the same as a big-endian kernel has them', () => {
    const [version, data] = ['6.1.187', Buffer.from(BTF['6.1.187'])];
    const strings = data.readUInt32LE(4) + data.readUInt32LE(16);
    data.subarray(0, 2).swap16();
    data.subarray(4, strings).swap32();
    expect(differences(readBtf(data, version), data).slice(0, 3)).toEqual([]);
  });
});
