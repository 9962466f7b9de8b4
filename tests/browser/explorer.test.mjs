// The explorer in a real browser: every control is changed, and what the page then shows is
// compared with the library's numbers.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { allNear, near, shownEquals, worstDeviation } from './compare.mjs';
import { CATEGORIES, ESTIMATORS, LOSSES, grid, parametersOf } from './settings.mjs';
import { library, open, press, screenshot, settle, snapshot, trainVae } from './support.mjs';

const SIDES = ['A', 'B'];
/** What was shown after each change, and the controls that were there and that were changed. */
const snapshots = [];
const [there, changed] = [new Set(), new Set()];

const session = await open();
const { page } = session;
after(() => session.close());

/**
 * Does something to a control and keeps what the page shows then. The controls and the page's state
 * must agree.
 */
async function change(id, action) {
  await action();
  await settle(page);
  const now = await snapshot(page);
  assert.deepEqual(now.believed, now.settings, `the page's settings after changing ${id}`);
  now.controls.forEach((control) => there.add(control));
  changed.add(id);
  snapshots.push(now);
  return now;
}

const keys = (id, ...keys) => change(id, () => press(page, id, ...keys));
const story = (title) => change(title, () => page.getByRole('button', { name: title, exact: true }).click());
const titles = () => page.locator('#stories button').allTextContents();

test('every estimator, form, loss and C gives the library’s numbers', async () => {
  const settings = grid();
  const expected = await library('evaluate', settings);
  const got = await page.evaluate(
    (settings) =>
      settings.map((setting) => {
        const { estimates, ...numbers } = hardgrad.evaluate(setting);
        return { ...numbers, first: estimates.map((draws) => draws[0].estimate) };
      }),
    settings,
  );
  expected.forEach(({ certified, ...numbers }, i) => {
    const where = JSON.stringify(settings[i]);
    for (const [name, value] of Object.entries(numbers)) allNear(got[i][name], value, `${name} at ${where}`);
    if (!certified) return;
    allNear(got[i].mean, certified[0], `certified mean at ${where}`);
    near(got[i].variance, certified[1], `certified variance at ${where}`);
  });
  assert.ok(expected.some(({ certified }) => certified));
  const names = await page.evaluate(() => [Object.keys(hardgrad.estimators), Object.keys(hardgrad.losses)]);
  assert.deepEqual(names, [Object.keys(ESTIMATORS), [...LOSSES, 'expression']]);
  console.log(`${settings.length} settings compared`);
});

test('keyboard: estimators, forms and their parameters', async () => {
  for (const [k, side] of SIDES.entries()) {
    await change('categories', () => page.check(`#categories-${[3, 2][k]}`));
    await keys(`estimator-${side}`, 'Home');
    for (const [index, [name, estimator]] of Object.entries(ESTIMATORS).entries()) {
      if (index > 0) await keys(`estimator-${side}`, 'ArrowDown');
      for (const form of (estimator.forms ?? [{}]).keys()) {
        if (form > 0) await keys(`form-${side}`, 'ArrowDown');
        for (const parameter of parametersOf(estimator, form)) {
          const before = await snapshot(page);
          const atEnd = await page
            .locator(`#${parameter}-${side}`)
            .evaluate((input) => Number(input.value) > 0.7 * Number(input.max));
          const moved = await keys(`${parameter}-${side}`, ...Array(form + 1).fill(atEnd ? 'ArrowLeft' : 'ArrowRight'));
          assert.notDeepEqual(moved.settings, before.settings, `${parameter} of ${name}`);
        }
      }
    }
    await change(`estimator-${side}`, () => page.selectOption(`#estimator-${side}`, 'rebar'));
    for (const key of ['End', 'Home']) await keys(`tau-${side}`, key);
    await keys(`eta-${side}`, 'End');
  }
});

test('keyboard: the choice, the projection and the number of draws', async () => {
  await story((await titles())[4]);
  for (const categories of [8, 2, 3]) {
    await change(`categories-${categories}`, () =>
      press(page, `categories-${{ 8: 3, 2: 8, 3: 2 }[categories]}`, 'ArrowRight'),
    );
    for (let j = 1; j <= categories; j++) await keys(`theta-${j}`, j % 2 ? 'ArrowLeft' : 'ArrowRight', 'ArrowRight');
    for (const loss of LOSSES) {
      const now = await keys('loss', loss === 'linear' ? 'Home' : 'ArrowDown');
      assert.equal(now.loss, loss);
    }
    for (const key of ['End', 'ArrowLeft', 'Home', 'ArrowRight']) await keys('average', key);
    if (categories !== 8) continue;
    const plots = () => page.locator('#cloud-B').innerHTML();
    for (const axis of ['axis-1', 'axis-2']) {
      const before = await plots();
      await keys(axis, 'ArrowDown', 'ArrowDown');
      assert.notEqual(await plots(), before);
    }
  }
  for (const title of await titles())
    await change(title, () => page.getByRole('button', { name: title }).press('Enter'));
  await press(page, 'theme', 'Space');
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  await change('theme', () => press(page, 'theme', 'Space'));
});

test('the commands below the plots are commands of train_vae', async () => {
  const commands = new Set();
  for (const [name, { forms }] of Object.entries(ESTIMATORS)) {
    await page.selectOption('#estimator-A', name);
    for (const form of (forms ?? [{}]).keys()) {
      if (forms) await page.selectOption('#form-A', String(form));
      commands.add(await page.textContent('#command-A'));
    }
  }
  const [known, others] = [true, false].map((is) => [...commands].filter((text) => text.includes('train_vae ') === is));
  assert.equal(others.length, 0);
  const options = known.map((text) => text.match(/^To train with it: train_vae (--.*)$/)?.[1]).filter(Boolean);
  assert.equal(options.length, 26);
  assert.equal(known.length - options.length, 1, 'one sentence for what train_vae does not have');
  for (const command of options)
    assert.match(await trainVae(`${command} --dataset digits --epochs 0`), /^error: --epochs: got 0/, command);
});

test('mouse: sliders, lists and dragging π', async () => {
  const at = async (selector, x, y) => {
    const box = await page.locator(selector).boundingBox();
    return [box.x + x * box.width, box.y + y * box.height];
  };
  await change('estimator-A', () => page.selectOption('#estimator-A', 'rebar'));
  for (const id of ['theta-2', 'tau-A', 'average']) {
    await page.locator(`#${id}`).scrollIntoViewIfNeeded();
    const before = await page.inputValue(`#${id}`);
    await change(id, async () => page.mouse.click(...(await at(`#${id}`, 0.8, 0.5))));
    assert.notEqual(await page.inputValue(`#${id}`), before, id);
  }
  for (const [categories, from, to] of [
    [3, [0.5, 0.55], [0.3, 0.75]],
    [2, [0.5, 0.5], [0.2, 0.5]],
  ]) {
    await change(`categories-${categories}`, () => page.check(`#categories-${categories}`));
    await page.locator('#simplex').scrollIntoViewIfNeeded();
    const [start, end] = [await at('#simplex svg', ...from), await at('#simplex svg', ...to)];
    await page.mouse.move(...start);
    await page.mouse.down();
    await page.mouse.move(...end, { steps: 3 });
    const now = await change('simplex', () => page.mouse.up());
    const pi = now.theta.map(Math.exp);
    assert.equal(pi.indexOf(Math.max(...pi)), 0, 'dragged towards the first corner');
  }
});

test('what was shown after each change equals the library’s numbers', async () => {
  assert.deepEqual(
    [...there].filter((control) => !changed.has(control)),
    [],
    'controls that were never changed',
  );
  const texts = [...new Set(snapshots.flatMap(({ settings }) => settings.map((setting) => JSON.stringify(setting))))];
  const answers = new Map(
    (
      await library(
        'evaluate',
        texts.map((text) => JSON.parse(text)),
      )
    ).map((numbers, i) => [texts[i], numbers]),
  );
  for (const now of snapshots)
    shownEquals(
      now,
      now.settings.map((setting) => answers.get(JSON.stringify(setting))),
    );
  const { deviation, where, numbers } = worstDeviation();
  console.log(`${snapshots.length} changes of controls, ${texts.length} settings, ${numbers} numbers in all`);
  console.log(`worst deviation ${deviation.toExponential(2)}: ${where}`);
});

test('Tab reaches every control in the order of the page, each with a name and a visible focus', async () => {
  await story((await titles())[5]);
  await change('categories-8', () => page.check('#categories-8'));
  const expected = await page.evaluate(() =>
    [...document.querySelectorAll('button, select, input, summary, [tabindex]')]
      .filter((element) => element.type !== 'radio' || element.checked) // a group of radio buttons is one stop
      .filter((element) => element.localName === 'summary' || !element.closest('details:not([open])'))
      .map((element) => element.id || element.getAttribute('aria-label') || element.textContent),
  );
  await page.locator('#stories button').first().focus();
  const reached = [];
  for (let k = 0; k < expected.length; k++) {
    await page.keyboard.press(k === 0 ? 'Shift+Tab' : 'Tab'); // back from the second to the first, then on
    const [name, label, outline, described] = await page.evaluate(() => {
      const element = document.activeElement;
      const label = element.getAttribute('aria-label') || element.labels?.[0]?.textContent || element.textContent;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const description = element.getAttribute('aria-describedby');
      return [
        element.id || element.getAttribute('aria-label') || element.textContent,
        label,
        `${outlineStyle} ${outlineWidth}`,
        description === null || document.getElementById(description)?.textContent.trim(),
      ];
    });
    assert.ok(label.trim(), `${name} has no name`);
    assert.equal(outline, 'solid 2px', name);
    assert.ok(described, `${name} has no explanation`);
    reached.push(name);
  }
  assert.deepEqual(reached, expected);
});

test('a telephone’s width has no horizontal overflow', async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  for (const categories of CATEGORIES) {
    await page.check(`#categories-${categories}`);
    for (const name of Object.keys(ESTIMATORS)) {
      await page.selectOption('#estimator-A', name);
      const wide = await page.evaluate(() =>
        [...document.querySelectorAll('body *:not(.table *)')]
          .filter((element) => element.getBoundingClientRect().right > 360.5 && !element.closest('svg svg, svg *'))
          .map((element) => element.id || element.className || element.tagName),
      );
      assert.deepEqual(wide, [], `${name}, ${categories} categories`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
    }
  }
  await story((await titles())[0]);
  await screenshot(page, 'telephone');
  await page.setViewportSize({ width: 1200, height: 900 });
});

/** WCAG's contrast of an element's text to the page, or to the panel that it lies on. */
const contrast = (selector) =>
  page.evaluate((selector) => {
    const element = document.querySelector(selector);
    const luminance = (color) => {
      const parts = color
        .match(/[\d.]+/g)
        .slice(0, 3)
        .map((x) => x / 255);
      const [r, g, b] = parts.map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const style = getComputedStyle(element);
    const ground = getComputedStyle(element.closest('svg, select, button, body')).backgroundColor;
    const behind = ground === 'rgba(0, 0, 0, 0)' ? getComputedStyle(document.body).backgroundColor : ground;
    const text = element.closest('svg') ? style.fill : style.color;
    const [low, high] = [luminance(text), luminance(behind)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }, selector);

test('light and dark', async () => {
  const grounds = [];
  const texts = [
    '.lede',
    '.help',
    'figcaption',
    '.side-A h3',
    '.side-B h3',
    '#cloud-A .tick',
    '#cloud-B .given-label',
    '.bar .name',
    'th',
    'td',
    'select',
    '#theme',
    ...['D', 'g', 'pi', 'G'].map((symbol) => `.symbol-${symbol}`),
    '#gumbel .taken-label',
    '#paths .end',
    '#train tr.side-A th',
  ];
  await page.evaluate(() => delete document.documentElement.dataset.theme);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    grounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    for (const selector of texts) {
      const ratio = await contrast(selector);
      assert.ok(ratio >= 4.5, `${selector} has contrast ${ratio.toFixed(2)} in ${colorScheme}`); // WCAG AA
    }
    await story((await titles())[0]);
    await screenshot(page, `three-${colorScheme}`);
  }
  await page.click('#theme');
  assert.equal(
    await page.evaluate(() => getComputedStyle(document.body).backgroundColor),
    grounds[0],
    'the button overrides',
  );
  assert.notEqual(grounds[0], grounds[1]);
});

test('each symbol has one colour, in formulas and in pictures', async () => {
  const colors = await page.evaluate(() => {
    const of = (selector, property) => getComputedStyle(document.querySelector(selector))[property];
    return {
      D: ['#gumbel .share', '#gumbel .taken-label']
        .map((selector) => of(selector, 'fill'))
        .concat(of('.symbol-D', 'color')),
      g: [
        of('#way .slope', 'stroke'),
        of('#rule .slope', 'stroke'),
        of('#rule .handle', 'fill'),
        of('.symbol-g', 'color'),
      ],
      pi: [of('#simplex .pi', 'fill'), of('#gumbel .pi-mark', 'stroke'), of('.symbol-pi', 'color')],
      G: [of('#gumbel .noise', 'fill'), of('.symbol-G', 'color')],
    };
  });
  const each = Object.values(colors).map((found) => [...new Set(found)]);
  assert.deepEqual(
    each.map(({ length }) => length),
    [1, 1, 1, 1],
    JSON.stringify(colors),
  );
  assert.equal(new Set(each.flat()).size, 4);
});

test('screenshots', async () => {
  await story((await titles())[5]);
  await page.check('#categories-2');
  await screenshot(page, 'binary');
  await story((await titles())[2]);
  await page.check('#categories-8');
  await screenshot(page, 'eight');
  await story((await titles())[4]);
  await screenshot(page, 'clouds');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.evaluate(() => delete document.documentElement.dataset.theme);
  await screenshot(page, 'clouds-dark');
  if (!process.env.PICTURE) return;
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1000, height: 900 });
  await story((await titles())[0]);
  for (let k = 0; k < 4; k++) await press(page, 'average', 'ArrowRight');
  await page.evaluate(() => scrollTo(0, 0));
  const { x, y, width, height } = await page.locator('.sides').boundingBox();
  const clip = { x: x - 20, y: y - 16, width: width + 40, height: height + 24 };
  await screenshot(page, 'picture', { path: process.env.PICTURE, clip });
});

test('one file, no request but for itself, nothing on the console', () => {
  assert.equal(session.printed, session.file);
  assert.ok(session.bytes < 5e6, `${session.bytes} bytes`);
  assert.deepEqual(session.seen, { requests: [session.url], console: [], errors: [] });
  console.log(`explorer.html has ${session.bytes} bytes`);
});
