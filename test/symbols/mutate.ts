/** Files with something wrong in them, for tests of readers. */
import fc from 'fast-check';

/** One change of a file; `at` is a share of its length. */
type Mutation = (data: Buffer) => Buffer;

const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const flip = fc.tuple(share, fc.nat(7)).map(
  ([at, bit]): Mutation =>
    (data) => {
      const position = Math.floor(at * data.length);
      data[position] = (data[position] ?? 0) ^ (1 << bit);
      return data;
    },
);
const cut = share.map(
  (at): Mutation =>
    (data) =>
      data.subarray(0, Math.floor(at * data.length)),
);
const extremes = [0, 1, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff, 0x00ffffff, 0x0000ffff];
const extreme = fc.tuple(share, fc.constantFrom(...extremes), fc.boolean()).map(
  ([at, value, little]): Mutation =>
    (data) => {
      const position = Math.floor((at * data.length) / 4) * 4;
      if (position + 4 > data.length) return data;
      if (little) data.writeUInt32LE(value, position);
      else data.writeUInt32BE(value, position);
      return data;
    },
);
const insert = fc.tuple(share, fc.uint8Array({ minLength: 1, maxLength: 40 })).map(
  ([at, bytes]): Mutation =>
    (data) => {
      const position = Math.floor(at * data.length);
      return Buffer.concat([data.subarray(0, position), bytes, data.subarray(position)]);
    },
);
/** Mostly one change; where a format has checksums, more of them would only hide each other. */
const mutations = fc.array(fc.oneof(flip, flip, extreme, extreme, cut, insert), {
  minLength: 1,
  maxLength: 3,
});

/** Copies of a file, each changed in up to three places. */
export const mutated = (original: Uint8Array): fc.Arbitrary<Buffer> =>
  mutations.map((changes) => changes.reduce<Buffer>((data, change) => change(data), Buffer.from(original)));
