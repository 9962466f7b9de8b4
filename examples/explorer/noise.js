// Randomness with a fixed seed: the same settings show the same numbers, here and in the library.

/** xoshiro128++ (Blackman and Vigna): 32 random bits a call, from a state of four words. */
function xoshiro128plusplus(seed) {
  const s = Uint32Array.from(seed);
  const rotateLeft = (x, k) => (x << k) | (x >>> (32 - k));
  return () => {
    const result = (rotateLeft((s[0] + s[3]) | 0, 7) + s[0]) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotateLeft(s[3], 11);
    return result;
  };
}

/** A uniform number in the open interval (0, 1): the midpoint of one of 2⁵² cells. */
const uniform = (next) => ((next() >>> 6) * 2 ** 26 + (next() >>> 6) + 0.5) / 2 ** 52;

const tables = new Map();

/**
 * Standard exponential numbers E for C categories: row k of draw i given D = `hot`, a vector of C.
 * Row 0 is for the noise G that drew D, the others for what an estimator draws given D. All numbers
 * of one C are made at once, and kept in one array.
 */
function noiseRow(categories, hot, i, k) {
  const draws = constants.draws_given[categories];
  if (!tables.has(categories)) {
    const next = xoshiro128plusplus(constants.seed);
    const count = categories * draws * constants.rows * categories;
    tables.set(
      categories,
      Float64Array.from({ length: count }, () => -Math.log(uniform(next))),
    );
  }
  const first = ((hot * draws + i) * constants.rows + k) * categories;
  return tables.get(categories).subarray(first, first + categories);
}

/** The finalizer of MurmurHash3: a bijection of 32-bit words in which each bit depends on all. */
function mix32(h) {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The generator of a seed's stream with this number: 32 random bits a call. */
function streamOf(seed, number) {
  const word = (word, k) => mix32((word + Math.imul(16 * seed + 4 * number + k, 0x9e3779b9)) | 0);
  return xoshiro128plusplus(constants.seed.map(word));
}
