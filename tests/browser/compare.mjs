// The page's numbers against the library's.

import assert from 'node:assert/strict';

/**
 * Both sides sum the same few thousand products of numbers of order 1 to 100 in another order, with another exp and log: some ten
 * roundings of 1e-16 each on the way to a number, up to a factor 1/τ = 10.
 */
const TOLERANCE = 1e-12;
const worst = { deviation: 0, where: '', numbers: 0 };
export const worstDeviation = () => worst;

export function near(value, expected, where) {
  const deviation = Math.abs(value - expected) / (1 + Math.abs(expected));
  assert.ok(deviation <= TOLERANCE, `${where}: ${value} on the page, ${expected} in the library`);
  worst.numbers += 1;
  if (deviation > worst.deviation) Object.assign(worst, { deviation, where });
}

/** Vectors and matrices, number by number. */
export function allNear(value, expected, where) {
  if (typeof expected === 'number') return near(value, expected, where);
  assert.equal(value.length, expected.length, where);
  expected.forEach((expected, i) => allNear(value[i], expected, `${where}[${i}]`));
}

/** Everything that the page should show, by name, from the library's numbers for its two sides. */
function expectedShown(a, b, average) {
  const shown = {};
  const put = (name, value) => (Array.isArray(value) ? value.forEach((x, i) => put(`${name}.${i}`, x)) : (shown[name] = value));
  put('pi', a.pi);
  put('values', a.values);
  put('g', a.g);
  for (const [name, numbers] of [['A', a], ['B', b]]) {
    const biases = numbers.mean.map((x, j) => x - numbers.exact[j]);
    const bias = biases.reduce((sum, x) => sum + x * x, 0);
    put(`${name}.given`, numbers.given);
    put(`${name}.mean`, numbers.mean);
    put(`${name}.exact`, numbers.exact);
    put(`${name}.biases`, biases);
    put(`${name}.sd`, numbers.covariance.map((row, j) => Math.sqrt(row[j])));
    put(`${name}.bias`, bias);
    put(`${name}.variance`, numbers.variance / average);
    put(`${name}.error`, bias + numbers.variance / average);
  }
  return shown;
}

/** Text and full value of every number shown, and the marks in the plots. */
export function shownEquals({ shown, average, plotted, settings }, [a, b]) {
  const where = `after ${JSON.stringify(settings)}`;
  const expected = expectedShown(a, b, average);
  assert.deepEqual(Object.keys(shown).sort(), Object.keys(expected).sort(), where);
  for (const [name, { text, value }] of Object.entries(shown)) {
    near(value, expected[name], `${name} ${where}`);
    assert.match(text, /^−?\d+\.\d{4}$/, `${name} ${where}`);
    const read = Number(text.replace('−', '-'));
    assert.ok(Math.abs(read - expected[name]) <= 0.5e-4 + TOLERANCE * (1 + Math.abs(read)), `${name} ${where}: ${text} for ${expected[name]}`);
  }
  [a, b].forEach((numbers, k) => plotEquals(plotted[k], numbers, settings[k].categories, where));
}

/** In the plots of three categories the arrow and the mark of the mean must point as the projected vectors do, at one scale. */
function plotEquals(plotted, { mean, exact }, categories, where) {
  if (categories !== 3 || !plotted.exact) return;
  const project = (x) => [(x[1] - x[0]) * Math.SQRT1_2, (2 * x[2] - x[0] - x[1]) / Math.sqrt(6)];
  const [e, m] = [project(exact), project(mean)];
  const tip = [plotted.exact[0] - 180, 180 - plotted.exact[1]];
  const mark = [plotted.mean[0] - 180, 180 - (plotted.mean[1] + 6)]; // the path starts at its upper corner, 6 above
  const unit = Math.hypot(...tip) / Math.hypot(...e);
  for (const k of [0, 1]) {
    // Attributes are written with all digits; a length of 360 has roundings of 1e-13, and `unit` has some of the arrow's.
    assert.ok(Math.abs(tip[k] - unit * e[k]) < 1e-9 * (1 + unit), `arrow ${where}`);
    assert.ok(Math.abs(mark[k] - unit * m[k]) < 1e-9 * (1 + unit), `mean ${where}`);
  }
}
