// The page's numbers against the library's.

import assert from 'node:assert/strict';

/**
 * Both sides sum the same few thousand products of numbers of order 1 to 100 in another order, with
 * another exp and log: some ten roundings of 1e-16 each on the way to a number, up to a factor 1/τ
 * = 10.
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

/** The numbers of a panel, by name: full values and the four decimals of their texts. */
export function panelEquals(shown, expected, where) {
  assert.deepEqual(Object.keys(shown).sort(), Object.keys(expected).sort(), where);
  for (const [name, { text, value }] of Object.entries(shown)) {
    near(value, expected[name], `${name} ${where}`);
    assert.match(text, /^−?\d+\.\d{4}$/, `${name} ${where}`);
    const read = Number(text.replace('−', '-'));
    assert.ok(
      Math.abs(read - expected[name]) <= 0.5e-4 + TOLERANCE * (1 + Math.abs(read)),
      `${name} ${where}: ${text}`,
    );
  }
}

/** Everything that the page should show, by name, from the library's numbers for its two sides. */
function expectedShown(a, b, average) {
  const shown = {};
  const put = (name, value) =>
    Array.isArray(value) ? value.forEach((x, i) => put(`${name}.${i}`, x)) : (shown[name] = value);
  put('pi', a.pi);
  put('values', a.values);
  put('g', a.g);
  const [from, to] = a.pi.map((_, j) => j).sort((i, j) => a.pi[j] - a.pi[i]);
  const [near, far] = [from, to].map((hot) => a.g[hot][to] - a.g[hot][from]);
  put('way.exact', a.values[to] - a.values[from]);
  put('way.rectangle', near);
  put('way.trapezoid', (near + far) / 2);
  for (const [name, numbers] of [
    ['A', a],
    ['B', b],
  ]) {
    const biases = numbers.mean.map((x, j) => x - numbers.exact[j]);
    const bias = biases.reduce((sum, x) => sum + x * x, 0);
    put(`${name}.given`, numbers.given);
    put(`${name}.mean`, numbers.mean);
    put(`${name}.exact`, numbers.exact);
    put(`${name}.biases`, biases);
    put(
      `${name}.sd`,
      numbers.covariance.map((row, j) => Math.sqrt(row[j])),
    );
    put(`${name}.bias`, bias);
    put(`${name}.variance`, numbers.variance / average);
    put(`${name}.error`, bias + numbers.variance / average);
  }
  return shown;
}

/** Text and full value of every number shown, and the marks in the plots. */
export function shownEquals(snapshot, [a, b]) {
  const { shown, average, plotted, settings } = snapshot;
  const where = `after ${JSON.stringify(settings)}`;
  panelEquals(shown, expectedShown(a, b, average), where);
  [a, b].forEach((numbers, k) => plotEquals(plotted[k], numbers, settings[k].categories, where));
  sentencesEqual(snapshot, [a, b], where);
}

/** A number within a sentence, to the digits it is written with. */
function written(sentence, pattern, expected, where) {
  const [, text] = sentence.match(pattern) ?? assert.fail(`no ${pattern} in “${sentence}” ${where}`);
  const read = Number(text.replace('−', '-'));
  const half = 0.5 * 10 ** -(text.split('.')[1]?.length ?? 0);
  assert.ok(Math.abs(read - expected) <= half * (1 + 1e-9), `“${sentence}” ${where}: expected ${expected}`);
}

/**
 * The sentences below the plots and the bars, the ± of bias², and f at the corners of the simplex.
 */
function sentencesEqual({ readings, uncertainties, verdict, corners, average, settings }, sides, where) {
  const errors = sides.map((numbers, k) => {
    const bias = numbers.mean.map((x, j) => x - numbers.exact[j]);
    const squared = bias.reduce((sum, x) => sum + x * x, 0);
    const s = numbers.covariance_of_mean;
    const along = s.reduce((sum, row, i) => sum + bias[i] * row.reduce((sum, x, j) => sum + x * bias[j], 0), 0);
    const uncertainty = Math.sqrt(4 * along + 2 * s.flat().reduce((sum, x) => sum + x * x, 0));
    const size = Math.hypot(...numbers.exact);
    if (squared < 1e-18 * Math.max(size, 1) ** 2) assert.match(readings[k], /^On average exactly right/, where);
    else if (squared < 3 * uncertainty) assert.match(readings[k], /^On average right, as far as/, where);
    else written(readings[k], /off by (\d+\.\d+)/, Math.sqrt(squared), where);
    if (numbers.variance < 1e-18) assert.match(readings[k], /Every draw gives the same/, where);
    else written(readings[k], /scatters by (\d+\.\d+)/, Math.sqrt(numbers.variance), where);
    if (uncertainty === 0) assert.equal(uncertainties[k], '', where);
    else {
      const one = Number(uncertainties[k].match(/^± (.+)$/)[1].replace('−', '-'));
      assert.ok(Math.abs(one / uncertainty - 1) <= 0.5, `± ${where}: ${one} for ${uncertainty}`); // one digit
    }
    return squared + numbers.variance / average;
  });
  if (Math.abs(errors[0] - errors[1]) > 1e-9 * (errors[0] + errors[1])) {
    assert.match(verdict, new RegExp(`, ${errors[0] < errors[1] ? 'A' : 'B'} is nearer`), where);
    written(verdict, /in mean square: (\d+\.\d+) against/, Math.min(...errors), where);
    written(verdict, /against (\d+\.\d+)\./, Math.max(...errors), where);
  }
  if (settings[0].categories === 8) return;
  corners.forEach((corner, j) => written(corner, /f = (−?\d+\.\d+)$/, sides[0].values[j], where));
}

/**
 * In the plots of three categories arrow, mean and ellipse must be the projected vectors and
 * covariance, at one scale.
 */
function plotEquals(plotted, { mean, exact, covariance }, categories, where) {
  if (categories !== 3 || !plotted.exact) return;
  const rows = [[-Math.SQRT1_2, Math.SQRT1_2, 0], [-1, -1, 2].map((x) => x / Math.sqrt(6))];
  const dot = (a, b) => a.reduce((sum, a, j) => sum + a * b[j], 0);
  const [e, m] = [exact, mean].map((x) => rows.map((row) => dot(row, x)));
  const tip = [plotted.exact[0] - 180, 180 - plotted.exact[1]];
  const mark = [plotted.mean[0] - 180, 180 - (plotted.mean[1] + 6)]; // the path starts at its upper corner, 6 above
  const unit = Math.hypot(...tip) / Math.hypot(...e);
  // Attributes have all digits; a length of 360 has roundings of 1e-13, and `unit` those of the
  // arrow's.
  const close = (a, b, what) => assert.ok(Math.abs(a - b) < 1e-9 * (1 + unit), `${what} ${where}: ${a} for ${b}`);
  for (const k of [0, 1]) {
    close(tip[k], unit * e[k], 'arrow');
    close(mark[k], unit * m[k], 'mean');
  }
  const projected = rows.map((a) =>
    rows.map((b) =>
      dot(
        a,
        covariance.map((row) => dot(row, b)),
      ),
    ),
  );
  const [[a, b], [, c]] = projected;
  const [major, minor] = [1, -1].map((sign) => Math.sqrt(Math.max(0, (a + c) / 2 + sign * Math.hypot((a - c) / 2, b))));
  // A radius is drawn with at least 0.75, to be seen. That of a degenerate ellipse is the root of a
  // rounding.
  close(plotted.radii[0], Math.max(0.75, unit * major), 'ellipse');
  assert.ok(Math.abs(plotted.radii[1] - Math.max(0.75, unit * minor)) < 1e-6 * (1 + unit), `ellipse ${where}`);
}
