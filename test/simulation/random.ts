/** Random numbers of a seed: the same seed, the same numbers, on any machine. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
  /** Each of them with a probability. */
  some<T>(from: readonly T[], probability: number): T[];
  /** Numbers of their own, so that what one part draws does not change what another one does. */
  fork(name: string): Random;
}

/** sfc32, seeded by a hash of the name (FNV-1a). */
export function randomOf(name: string): Random {
  let [a, b, c, d] = [hash(`${name}/a`), hash(`${name}/b`), hash(`${name}/c`), 1];
  const next = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 12; i++) next();
  const random: Random = {
    next,
    int: (low, high) => low + Math.floor(next() * (high - low + 1)),
    chance: (probability) => next() < probability,
    pick(from) {
      const one = from[Math.floor(next() * from.length)];
      if (one === undefined) throw new Error('nothing to pick from');
      return one;
    },
    some: (from, probability) => from.filter(() => next() < probability),
    fork: (part) => randomOf(`${name}/${part}`),
  };
  return random;
}

function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value | 0;
}
