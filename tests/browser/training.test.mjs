// Training in the page: θ after fixed numbers of steps with fixed noise is compared with the
// library, which trains with its own estimators and its own Adam; and the two stories are true for
// every seed that the page has.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { allNear, panelEquals, worstDeviation } from './compare.mjs';
import { ESTIMATORS, LOSSES, configuration } from './settings.mjs';
import { library, open, press, settle, shownIn } from './support.mjs';

const ONE_CHOICE = ['pair-without-replacement', 'sum-and-sample'];
const VALUES = { tau: 0.7, draws: 3, eta: 0.6, beta: 0.4, lambda: 0.3, gap: 0.5, order: 3, alpha: -0.8, k: 1 };
const START = [
  [0.4, -0.3, 0.1],
  [1, 0, -0.5],
  [-0.2, 0.6, 0.3],
];

const session = await open();
const { page } = session;
after(() => session.close());

const trained = (settings) =>
  page.evaluate((all) => all.map(({ report, ...setting }) => hardgrad.train(setting, report)), settings);

/**
 * Every estimator in every form, and the exact gradient, with 1 to 3 variables and both optimisers.
 */
function grid() {
  const every = Object.entries(ESTIMATORS).flatMap(([name, { forms }]) =>
    [...(forms ?? [{}]).keys()].map((form) => configuration(name, form, VALUES)),
  );
  return [null, ...every].flatMap((estimator, k) =>
    [1, 2, 3]
      .filter((latents) => latents === 1 || !ONE_CHOICE.includes(Object.keys(estimator ?? {})[0]))
      .map((latents) => ({
        loss: LOSSES[(2 * k + latents) % LOSSES.length],
        theta: START.slice(0, latents),
        estimator,
        optimizer: (k + latents) % 2 ? 'adam' : 'sgd',
        rate: 0.1,
        batch: 4,
        seed: k + 1,
        report: [0, 1, 2, 20],
      })),
  );
}

test('every estimator trains θ as the library does', async () => {
  const settings = grid();
  const [got, expected] = [await trained(settings), await library('train', settings)];
  settings.forEach((setting, i) => {
    expected[i].forEach((state, k) => {
      const where = `step ${setting.report[k]} of ${JSON.stringify(setting)}`;
      allNear(got[i][k].theta, state.theta, `theta at ${where}`);
      allNear(got[i][k].mean, state.mean, `E f at ${where}`);
    });
  });
  console.log(`${settings.length} runs of 20 steps compared`);
});

/** What the panel should show, from the library's states after this step. */
async function expectedShown(step) {
  const names = await page.evaluate(() => Object.keys(hardgrad.training().runs));
  const settings = await page.evaluate((names) => names.map(hardgrad.trainingSettings), names);
  const states = await library(
    'train',
    settings.map((setting) => ({ ...setting, report: [step] })),
  );
  const shown = {};
  names.forEach((name, i) => {
    const [{ theta, mean }] = states[i];
    shown[`train.${name}.mean`] = mean;
    theta.forEach((row, l) => {
      const top = Math.max(...row);
      const sum = row.reduce((sum, x) => sum + Math.exp(x - top), 0);
      row.forEach((x, j) => (shown[`train.${name}.pi.${l}.${j}`] = Math.exp(x - top) / sum));
    });
  });
  return shown;
}

const stepNow = () => page.evaluate(() => hardgrad.training().runs.exact.step);
const setSlider = (id, value) =>
  page.$eval(
    `#${id}`,
    (input, value) => {
      const text = () => document.getElementById(`${input.id}-value`).textContent;
      for (let k = Number(input.min); k <= Number(input.max); k++) {
        input.value = k;
        input.dispatchEvent(new Event('input'));
        if (text() === value) return;
      }
      throw new Error(`no ${value} on ${input.id}`);
    },
    value,
  );

/** Plays until this many steps are done or more, and pauses. */
async function playUntil(step) {
  await page.click('#train-play');
  await page.waitForFunction((step) => hardgrad.training().runs.exact.step >= step, step);
  await page.click('#train-play');
  await press(page, 'train-step', 'Enter'); // ends the step that was begun
}

test('keyboard: every control, and what the panel then shows', async () => {
  for (const latents of [1, 2, 3]) {
    await page.check(`#latents-${latents}`);
    await page.selectOption('#optimizer', latents === 2 ? 'adam' : 'sgd');
    for (const id of ['rate', 'batch', 'seed', 'speed']) await press(page, id, 'ArrowRight');
    await settle(page);
    assert.equal(await stepNow(), 0, 'a change begins a new run');
    await press(page, 'train-step', 'Enter', 'Enter', 'Space');
    assert.equal(await stepNow(), 3);
    panelEquals(await shownIn(page, 'train'), await expectedShown(3), `L = ${latents}`);
    await press(page, 'train-restart', 'Enter');
    assert.equal(await stepNow(), 0);
    await press(page, 'train-play', 'Enter');
    await page.waitForFunction(() => hardgrad.training().runs.exact.step > 2);
    await press(page, 'train-play', 'Enter');
    await press(page, 'train-step', 'Enter');
    const step = await stepNow();
    panelEquals(await shownIn(page, 'train'), await expectedShown(step), `step ${step}, L = ${latents}`);
  }
  await page.selectOption('#estimator-B', 'sum-and-sample');
  assert.match(await page.textContent('#train-note'), /^B, Sum and sample, is for a single variable/);
  await page.check('#latents-1');
  await settle(page);
  assert.equal(await page.textContent('#train-note'), '');
});

/**
 * The states after `step` steps of A, B and the exact gradient, for each seed of the page, from the
 * library.
 */
async function allSeeds(step) {
  const settings = await page.evaluate(() => ['A', 'B', 'exact'].map(hardgrad.trainingSettings));
  const seeds = Array.from({ length: 20 }, (_, k) => k + 1);
  const states = await library(
    'train',
    settings.flatMap((setting) => seeds.map((seed) => ({ ...setting, seed, report: [step] }))),
  );
  const of = (k) => states.slice(20 * k, 20 * k + 20).map(([state]) => state);
  return [of(0), of(1), of(2)];
}

const corner = ({ theta: [row] }) => row.indexOf(Math.max(...row)) + 1;

test('story: Straight-Through goes to the wrong corner for every seed, ReinMax to the right one', async () => {
  await page.getByRole('button', { name: 'The wrong corner', exact: true }).click();
  const [st, reinmax, exact] = await allSeeds(400);
  const { values } = await page.evaluate(() => ({ values: hardgrad.training().runs.exact.values }));
  assert.equal(values.indexOf(Math.min(...values)) + 1, 1);
  assert.equal(values.indexOf(Math.max(...values)) + 1, 3);
  const count = (states, expected) => states.filter((state) => corner(state) === expected).length;
  assert.deepEqual([count(st, 3), count(reinmax, 1), count(exact, 1)], [20, 20, 20]);
  const probability = ({ theta: [row] }, j) => 1 / row.reduce((sum, x) => sum + Math.exp(x - row[j]), 0);
  const settled = [st.map((state) => probability(state, 2)), reinmax.map((state) => probability(state, 0))];
  console.log(
    `after 400 steps: least π of the corner, ST ${Math.min(...settled[0])}, ReinMax ${Math.min(...settled[1])}`,
  );
  assert.ok(Math.min(...settled.flat()) > 0.9);
  await playUntil(400);
  const step = await stepNow();
  panelEquals(await shownIn(page, 'train'), await expectedShown(step), `the wrong corner, step ${step}`);
  await page.locator('#train').screenshot({ path: `${process.env.SCREENSHOTS}/train-wrong-corner.png` });
});

test('story: with one draw a step ReinMax’s variance loses to Straight-Through, with 64 it does not', async () => {
  await page.getByRole('button', { name: 'Variance costs steps', exact: true }).click();
  const [st, reinmax] = await allSeeds(50);
  const worse = st.filter(({ mean }, k) => reinmax[k].mean > mean + 0.01).length;
  const means = [st, reinmax].map((states) => states.reduce((sum, { mean }) => sum + mean / 20, 0));
  console.log(
    `after 50 steps: ReinMax behind for ${worse} of 20 seeds, E f ${means[0].toFixed(3)} and ${means[1].toFixed(3)}`,
  );
  assert.ok(worse >= 18);
  await playUntil(50);
  const step = await stepNow();
  panelEquals(await shownIn(page, 'train'), await expectedShown(step), `variance loses, step ${step}`);
  await page.locator('#train').screenshot({ path: `${process.env.SCREENSHOTS}/train-variance.png` });
  await setSlider('batch', '64');
  await settle(page);
  const [many, both] = await allSeeds(50);
  const gap = many.reduce((sum, { mean }, k) => sum + Math.abs(both[k].mean - mean) / 20, 0);
  console.log(`with a batch of 64 they differ by ${gap.toFixed(4)} on average`);
  assert.ok(gap < 0.2 * (means[1] - means[0]), `${gap}`);
});

test('frames while training three variables with a batch of 64', async () => {
  for (const [a, b] of [
    ['st', 'reinmax'],
    ['gumbel-rao', 'reinmax-cv'],
  ]) {
    await page.selectOption('#estimator-A', a);
    await page.selectOption('#estimator-B', b);
    await page.check('#latents-3');
    for (const side of ['A', 'B']) {
      if (a !== 'st') await press(page, `draws-${side}`, 'End'); // 100 draws
    }
    await setSlider('batch', '64');
    await setSlider('speed', '50');
    await settle(page);
    await page.evaluate(() => (hardgrad.training().frames.length = 0));
    const intervals = await page.evaluate(
      () =>
        new Promise((done) => {
          const times = [];
          window.longTasks = [];
          const observer = new PerformanceObserver((list) => window.longTasks.push(...list.getEntries()));
          observer.observe({ entryTypes: ['longtask'] });
          const watch = (time) => (times.push(time) > 240 ? done(times) : requestAnimationFrame(watch));
          document.getElementById('train-play').click();
          requestAnimationFrame(watch);
        }),
    );
    await page.click('#train-play');
    const frames = (await page.evaluate(() => hardgrad.training().frames)).sort((a, b) => a - b);
    const between = intervals
      .slice(1)
      .map((time, k) => time - intervals[k])
      .sort((a, b) => a - b);
    // Not those that come after the last frame, with the click that ends the run.
    const long = await page.evaluate(
      ([from, to]) =>
        window.longTasks
          .filter(({ startTime }) => startTime >= from && startTime < to)
          .map(({ startTime, duration }) => [Math.round(startTime - from), duration]),
      [intervals[0], intervals.at(-1)],
    );
    const [steps, half] = [await stepNow(), (times) => times[Math.floor(times.length / 2)].toFixed(1)];
    console.log(
      `${a} and ${b}: ${frames.length} frames, ${steps} steps; script of a frame: median ${half(frames)} ms, ` +
        `worst ${frames.at(-1).toFixed(1)} ms; from frame to frame: median ${half(between)} ms, worst ${between.at(-1).toFixed(1)} ms; tasks above 50 ms [start, duration]: ${JSON.stringify(long)}`,
    );
    assert.ok(steps > 0);
  }
  await page.locator('#train').screenshot({ path: `${process.env.SCREENSHOTS}/train-three.png` });
});

test('nothing on the console, no request', () => {
  assert.deepEqual(session.seen, { requests: [session.url], console: [], errors: [] });
  const { deviation, where, numbers } = worstDeviation();
  console.log(`training: ${numbers} numbers, worst deviation ${deviation.toExponential(2)}: ${where.slice(0, 150)}`);
});
