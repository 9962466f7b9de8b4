// The panels below the plots: Gumbel-max, rules of integration, paths, temperature, and losses that
// are typed. Every number that they show is compared with the library's.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { allNear, near, panelEquals, worstDeviation } from './compare.mjs';
import { CATEGORIES, ESTIMATORS } from './settings.mjs';
import { library, open, press, settle, shownIn } from './support.mjs';

const session = await open();
const { page } = session;
after(() => session.close());

const ready = (panel) =>
  page.waitForFunction((panel) => document.getElementById(panel).dataset.ready === 'true', panel, { timeout: 60000 });
const norm = (x) => Math.hypot(...x);
const biasOf = ({ mean, exact }) => norm(mean.map((x, j) => x - exact[j]));

test('Gumbel-max: bars, counts and masks', async () => {
  const check = async (draws) => {
    const settings = await page.evaluate(() => hardgrad.gumbelSettings());
    const [{ pi, counts, gumbel, hot }] = await library('gumbel', [{ ...settings, draws }]);
    const expected = {};
    settings.theta.forEach((theta, j) => {
      expected[`gumbel.noise.${j}`] = gumbel[j];
      expected[`gumbel.share.${j}`] = counts[j] / draws;
      expected[`gumbel.pi.${j}`] = pi[j];
      if (theta === null) return assert.deepEqual([pi[j], counts[j]], [0, 0]);
      expected[`gumbel.theta.${j}`] = theta;
      expected[`gumbel.score.${j}`] = theta + gumbel[j];
    });
    panelEquals(await shownIn(page, 'gumbel'), expected, `${draws} draws of ${JSON.stringify(settings)}`);
    assert.equal(await page.textContent('#gumbel-table caption'), `Draw ${draws}: D = ${hot + 1}`);
    return { pi, counts };
  };
  for (const categories of CATEGORIES) {
    await page.check(`#categories-${categories}`);
    await press(page, 'gumbel-clear', 'Enter');
    await check(1);
    await press(page, 'gumbel-one', 'Enter', 'Space');
    await check(3);
    await press(page, 'gumbel-seed', 'ArrowRight');
    await press(page, 'mask-2', 'Space');
    await press(page, 'gumbel-hundred', ...Array(10).fill('Enter'));
    const { pi, counts } = await check(1001);
    // Within five standard errors of π.
    pi.forEach((p, j) => assert.ok(Math.abs(counts[j] / 1001 - p) <= 5 * Math.sqrt((p * (1 - p)) / 1001), `${j}`));
    if (categories === 2) assert.ok(await page.isDisabled('#mask-1'), 'one category must be left');
    await press(page, 'mask-2', 'Space');
    await press(page, 'gumbel-play', 'Enter');
    await page.waitForFunction(() => hardgrad.gumbelRun().draws > 130);
    await press(page, 'gumbel-play', 'Enter');
    await check(await page.evaluate(() => hardgrad.gumbelRun().draws));
  }
});

const RULES = { rectangle: 0, trapezoid: 1, beta: 0, midpoint: 1, simpson: 3 };

test('rules: areas, errors and degrees', async () => {
  const slopes = [[1.3], [2, -1], [-2.5, 0.4, 1.7], [2, -0.5, 0.5, 1.5], [-1, 2.2, -0.3, 1.1, -2.8]];
  const settings = slopes.flatMap((values) => [0, 0.3, 0.5, 1].map((beta) => ({ values, beta })));
  const got = await page.evaluate((all) => all.map(hardgrad.ruleAreas), settings);
  const expected = await library('rule', settings);
  settings.forEach((setting, i) => {
    const degree = setting.values.length - 1;
    for (const [name, area] of Object.entries(expected[i]))
      near(got[i][name], area, `${name} of ${JSON.stringify(setting)}`);
    for (const [name, exactTo] of Object.entries(RULES)) {
      const to = name === 'beta' && setting.beta === 0.5 ? 1 : exactTo;
      const error = Math.abs(expected[i][name] - expected[i].exact);
      assert.equal(error < 1e-13, degree <= to, `${name} for degree ${degree}: ${error}`);
    }
  });
  const check = async () => {
    const setting = await page.evaluate(() => ({ ...hardgrad.state.rule }));
    const [{ exact, ...areas }] = await library('rule', [setting]);
    const shown = { 'rule.exact': exact };
    for (const [name, area] of Object.entries(areas)) {
      shown[`rule.${name}`] = area;
      shown[`rule.${name}.error`] = area - exact;
    }
    panelEquals(await shownIn(page, 'rule'), shown, JSON.stringify(setting));
    return setting;
  };
  await check();
  await press(page, 'rule-beta', 'End', 'ArrowLeft');
  await press(page, 'rule-degree', 'End');
  for (let k = 0; k < 5; k++) await press(page, `rule-point-${k}`, k % 2 ? 'ArrowLeft' : 'ArrowRight', 'ArrowRight');
  assert.equal((await check()).values.length, 5);
  for (let degree = 3; degree >= 0; degree--) {
    await press(page, 'rule-degree', 'ArrowUp');
    assert.equal((await check()).values.length, degree + 1);
  }
  await press(page, 'rule-degree', 'ArrowDown', 'ArrowDown');
  const svg = page.locator('#rule-plots svg').nth(1);
  await svg.scrollIntoViewIfNeeded();
  const box = await svg.boundingBox();
  const before = await check();
  await page.mouse.move(box.x + 0.95 * box.width, box.y + 0.4 * box.height);
  await page.mouse.down();
  await page.mouse.move(box.x + 0.95 * box.width, box.y + 0.1 * box.height, { steps: 3 });
  await page.mouse.up();
  await settle(page);
  const after = await check();
  assert.deepEqual(after.values.slice(0, 2), before.values.slice(0, 2));
  assert.ok(after.values[2] > before.values[2] && after.values[2] > 2);
});

test('paths: each point is the library’s', async () => {
  for (const [categories, loss] of [
    [2, 'cubic'],
    [8, 'quadratic'],
    [3, 'decoder'],
  ]) {
    await page.check(`#categories-${categories}`);
    await page.selectOption('#loss', loss);
    const boxes = await page.$$eval('#paths input[type=checkbox]', (boxes) => boxes.map(({ id }) => id));
    assert.ok(boxes.length >= 10);
    for (const id of boxes) if (!(await page.isChecked(`#${id}`))) await press(page, id, 'Space');
    await press(page, 'paths-average', 'ArrowRight');
    await settle(page);
    await ready('paths');
    const names = boxes.map((id) => id.replace('path-', ''));
    const settings = await page.evaluate((names) => names.map(hardgrad.pathSettings), names);
    const answers = await library('evaluate', settings.flat());
    const n = Number(await page.textContent('#paths-average-value'));
    const expected = {};
    let next = 0;
    names.forEach((name, i) =>
      settings[i].forEach((_, k) => {
        const { variance, ...numbers } = answers[next++];
        const bias = biasOf(numbers);
        expected[`paths.${name}.${k}.bias`] = bias;
        expected[`paths.${name}.${k}.sd`] = Math.sqrt(variance);
        expected[`paths.${name}.${k}.error`] = Math.hypot(bias, Math.sqrt(variance / n));
      }),
    );
    rootsEqual(await shownIn(page, 'paths'), expected, `${categories} categories, ${loss}`);
    console.log(`${Object.keys(expected).length} numbers of paths at C = ${categories}`);
    // The marks lie where the numbers say: all on one straight scale.
    const marks = await page.$$eval('#paths-chart .path circle', (marks) =>
      marks.map((mark) => [mark.cx, mark.cy].map((x) => x.baseVal.value)),
    );
    const points = names.flatMap((name, i) =>
      settings[i].map((_, k) => ['bias', 'sd'].map((what) => expected[`paths.${name}.${k}.${what}`])),
    );
    assert.equal(marks.length, points.length);
    // The scale is that of the ticks: [number, place] for each, the lines of the grid.
    const ticks = await page.$$eval('#paths-chart .grid line', (lines) =>
      lines.map((line) => {
        const [x1, y1, x2] = ['x1', 'y1', 'x2'].map((name) => line[name].baseVal.value);
        const axis = x1 === x2 ? 0 : 1;
        return { axis, value: Number(line.nextSibling.textContent.replace('−', '-')), at: axis === 0 ? x1 : y1 };
      }),
    );
    for (const axis of [0, 1]) {
      const of = ticks.filter((tick) => tick.axis === axis);
      const [low, high] = [of[0], of.at(-1)];
      const unit = (high.at - low.at) / (high.value - low.value);
      points.forEach((point, i) => {
        const at = low.at + unit * (point[axis] - low.value);
        // Points with bias 0 are shown at roundings of 1e-8.
        const deviation = Math.abs(at - marks[i][axis]);
        assert.ok(deviation < 1e-3 + 1e-9 * Math.abs(at), `mark ${i}: ${marks[i][axis]} for ${at}`);
      });
    }
  }
});

/**
 * Numbers that are roots of sums of squares: where the exact one is 0, a rounding of 1e-16 in a
 * square becomes 1e-8.
 */
function rootsEqual(shown, expected, where) {
  assert.deepEqual(Object.keys(shown).sort(), Object.keys(expected).sort(), where);
  for (const [name, { text, value }] of Object.entries(shown)) {
    near(value ** 2, expected[name] ** 2, `square of ${name}, ${where}`);
    assert.ok(Math.abs(Number(text.replace('−', '-')) - expected[name]) <= 0.5e-4 + 1e-7, `${name}, ${where}: ${text}`);
  }
}

test('temperature: the bias of Gumbel-Rao goes to that of ReinMax, and each cloud runs into its point', async () => {
  for (const categories of [2, 8, 3]) {
    await page.check(`#categories-${categories}`);
    await page.selectOption('#loss', 'cubic');
    await press(page, 'cold-tau', 'Home');
    const biases = [];
    for (let k = 0; k < 9; k++) {
      if (k > 0) await press(page, 'cold-tau', 'ArrowRight');
      await settle(page);
      const settings = await page.evaluate(() => [hardgrad.state.coldTau, null].map(hardgrad.coldSettings));
      const [rao, reinmax] = await library('evaluate', settings);
      const expected = {};
      for (const [name, numbers] of [
        ['rao', rao],
        ['reinmax', reinmax],
      ]) {
        expected[`cold.${name}.bias`] = biasOf(numbers);
        expected[`cold.${name}.sd`] = Math.sqrt(numbers.variance);
      }
      const shown = await shownIn(page, 'temperature');
      const given = Object.entries(shown).filter(([name]) => name.includes('given'));
      assert.equal(given.length, categories === 8 ? 0 : 2 * categories ** 2);
      for (const [name, { value }] of given) {
        const [, which, , hot, j] = name.split('.');
        near(value, { rao, reinmax }[which].given[hot][j], `${name} at ${JSON.stringify(settings)}`);
      }
      const roots = Object.fromEntries(Object.entries(shown).filter(([name]) => !name.includes('given')));
      rootsEqual(roots, expected, JSON.stringify(settings[0]));
      biases.push(biasOf(rao));
      if (k < 8) continue;
      // A mean over so many draws has a standard error, which `covariance_of_mean` holds.
      const error = Math.sqrt(rao.covariance_of_mean.reduce((sum, row, j) => sum + row[j], 0));
      assert.ok(Math.abs(biases[8] - biasOf(reinmax)) < 0.02 * biasOf(reinmax) + 5 * error, `${biases[8]}`);
      assert.ok(Math.abs(biases[0] - biasOf(reinmax)) > 0.1 * biasOf(reinmax), 'the panel shows something');
      console.log(
        `C = ${categories}: bias ${biases.map((x) => x.toFixed(3)).join(' ')}, ReinMax ${biasOf(reinmax).toFixed(3)}`,
      );
    }
    const rings = await page.$$eval('#temperature-clouds .target', (rings) => rings.length);
    assert.equal(rings, categories);
    await ready('temperature');
    assert.equal(await page.$$eval('#temperature-chart circle', (marks) => marks.length), 9);
  }
});

test('temperature: the button lowers τ from 1 to the least', async () => {
  await press(page, 'cold-play', 'Enter');
  assert.equal(await page.textContent('#cold-tau-value'), '1');
  await page.waitForFunction(() => document.getElementById('cold-tau-value').textContent === '0.01');
  assert.equal(await page.textContent('#cold-play'), 'Lower τ step by step');
});

/** The library's losses, written as the page's expressions for three categories. */
const WRITTEN = {
  linear: '1.2*(x1 - 0.2) - 0.8*(x2 - 0.35) + 0.6*(x3 - 0.6)',
  quadratic: '1.2*(x1 - .2)^2 - 0.8 * (x2 - 0.35)^2 + 0.6*(x3 - 0.6)^2',
  cubic: '(x1 - 0.2)^3*1.2 - 0.8*(x2 - 0.35)^3 - -0.6*(x3 - 6e-1)^3',
  concave: '-(1.2*(x1 - 0.2)^2 + 0.8*(x2 - 0.35)^2 + 0.6*(x3 - 0.6)^(4/2))',
};

test('expressions: every estimator for the library’s losses as they are written', async () => {
  await page.check('#categories-3');
  for (const [loss, text] of Object.entries(WRITTEN)) {
    await page.fill('#expression', text);
    await press(page, 'advisor-average', loss === 'linear' ? 'Home' : 'ArrowRight');
    await settle(page);
    await ready('advisor');
    assert.ok(await page.isHidden('#expression-error'), text);
    const sides = await page.evaluate(() => hardgrad.everyEstimator().map(hardgrad.advisorSettings));
    assert.equal(
      sides.length,
      Object.values(ESTIMATORS).reduce((sum, { forms }) => sum + (forms?.length ?? 1), 0),
    );
    const answers = await library(
      'evaluate',
      sides.map((setting) => ({ ...setting, loss })),
    );
    const n = Number(await page.textContent('#advisor-average-value'));
    const expected = {};
    answers.forEach(({ variance, ...numbers }, k) => {
      const bias = biasOf(numbers);
      expected[`advisor.${k}.bias`] = bias;
      expected[`advisor.${k}.uncertainty`] = Math.sqrt(
        numbers.covariance_of_mean.reduce((sum, row, j) => sum + row[j], 0),
      );
      expected[`advisor.${k}.sd`] = Math.sqrt(variance);
      expected[`advisor.${k}.error`] = Math.hypot(bias, Math.sqrt(variance / n));
    });
    rootsEqual(await shownIn(page, 'advisor'), expected, text);
    const errors = await page.$$eval('#advisor tbody td:last-child', (cells) =>
      cells.map((cell) => Number(cell.dataset.value)),
    );
    assert.deepEqual(
      errors,
      [...errors].sort((a, b) => a - b),
    );
  }
});

test('expressions: values and derivatives of every function', async () => {
  const text =
    'exp(x1) + log(x2 + 1) * sqrt(x3 + 2) - sin(x1*x2) / cos(x3) + tanh(x2) ^ 2 - sigmoid(x1 - x3) + softplus(-x2) * abs(x1 - 3) - 2^-1';
  const points = [
    [0.2, 0.5, 0.3],
    [1, 0, 0],
    [0.1, -0.3, 0.9],
  ];
  const results = await page.evaluate(
    ([text, points]) => {
      const f = hardgrad.compileExpression(text, 3);
      return points.map((x) => ({
        ...f(x),
        beside: x.map((_, j) => [-1e-5, 1e-5].map((h) => f(x.with(j, x[j] + h)).value)),
      }));
    },
    [text, points],
  );
  const { exp, log, sqrt, sin, cos, tanh, abs } = Math;
  results.forEach(({ value, gradient, beside }, i) => {
    const [a, b, c] = points[i];
    const logistic = 1 / (1 + exp(c - a));
    const expected =
      exp(a) +
      log(b + 1) * sqrt(c + 2) -
      sin(a * b) / cos(c) +
      tanh(b) ** 2 -
      logistic +
      log(1 + exp(-b)) * abs(a - 3) -
      0.5;
    near(value, expected, `${text} at ${points[i]}`);
    // Central differences: an error of h² f‴/6, some 1e-9, and a rounding of 1e-16/h.
    gradient.forEach((g, j) =>
      assert.ok(Math.abs(g - (beside[j][1] - beside[j][0]) / 2e-5) < 1e-8, `∂${j} at ${points[i]}`),
    );
  });
});

test('expressions: bad input shows a message with the position, and nothing else changes', async () => {
  await page.fill('#expression', 'x1*x2 + 1');
  for (const [text, position, message] of [
    ['', 1, /an expression in x1, x2, … is expected/],
    ['x1 +', 5, /expected a number, a variable or “\(”, found the end/],
    ['x1 x2', 4, /expected an operator, found “x2”/],
    ['(x1 + x2', 9, /expected “\)”, found the end/],
    ['x1 + x4', 6, /“x4” is not known: expected one of x1 to x3, exp/],
    ['alert(1)', 1, /“alert” is not known/],
    ['x1 + $', 6, /“\$” is not part of an expression/],
    ['exp x1', 5, /expected “\(”, found “x1”/],
    ['x1 ^ x2', 6, /the exponent has to be a number/],
    ['x1.constructor', 3, /“\.” is not part of an expression/],
    ['log(x1)', 1, /not finite at category 2/],
    ['2..3', 3, /found “\.3”/],
    [')', 1, /found “\)”/],
  ]) {
    await page.fill('#expression', text);
    await settle(page);
    const shown = await page.textContent('#expression-error');
    assert.ok(await page.isVisible('#expression-error'), text);
    assert.match(shown, message, text);
    assert.ok(shown.startsWith(`At character ${position}:`), `${text}: ${shown}`);
    assert.ok(await page.isDisabled('#advisor-use'), text);
  }
  await page.fill('#expression', `${'('.repeat(300)}x1${')'.repeat(98)}`);
  assert.match(await page.textContent('#expression-error'), /expected “\)”/);
});

test('expressions: used as the loss of the page', async () => {
  await page.fill('#expression', WRITTEN.cubic);
  await press(page, 'advisor-use', 'Enter');
  assert.equal(await page.inputValue('#loss'), 'expression');
  const [got, expected] = [
    await page.evaluate(() => ['A', 'B'].map((name) => hardgrad.evaluate(hardgrad.settings(name)))),
    await library(
      'evaluate',
      (await page.evaluate(() => ['A', 'B'].map(hardgrad.settings))).map((setting) => ({ ...setting, loss: 'cubic' })),
    ),
  ];
  expected.forEach(({ certified, first, ...numbers }, i) => {
    for (const [name, value] of Object.entries(numbers)) allNear(got[i][name], value, `${name} of the expression`);
  });
  await page.fill('#expression', 'x3');
  await page.check('#categories-2');
  assert.match(await page.textContent('#expression-error'), /“x3” is not known: expected one of x1 to x2/);
  assert.match(await page.textContent('#expression-error'), /the page uses f\(x\) = x1\.$/);
  await page.selectOption('#loss', 'quadratic');
});

test('pictures of each panel in light, dark and 360 pixels', async () => {
  await page.locator('#stories button').first().click();
  await page.check('#categories-3');
  await page.fill('#expression', WRITTEN.cubic);
  await page.locator('#train-stories button').first().click();
  assert.equal(await page.inputValue('#expression'), WRITTEN.cubic, 'a story leaves the typed loss');
  await press(page, 'gumbel-hundred', 'Enter');
  for (let k = 0; k < 40; k++) await page.click('#train-step');
  await page.evaluate(() => delete document.documentElement.dataset.theme);
  for (const [name, colorScheme, width] of [
    ['light', 'light', 1200],
    ['dark', 'dark', 1200],
    ['360', 'light', 360],
  ]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    await settle(page);
    for (const panel of ['train', 'gumbel', 'rule', 'paths', 'temperature', 'advisor']) {
      if (['paths', 'temperature', 'advisor'].includes(panel)) await ready(panel);
      await page.locator(`#${panel}`).screenshot({ path: `${process.env.SCREENSHOTS}/${panel}-${name}.png` });
    }
  }
});

test('nothing on the console, no request', () => {
  assert.deepEqual(session.seen, { requests: [session.url], console: [], errors: [] });
  const { deviation, where, numbers } = worstDeviation();
  console.log(`panels: ${numbers} numbers, worst deviation ${deviation.toExponential(2)}: ${where.slice(0, 150)}`);
});
