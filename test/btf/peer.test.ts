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
});
