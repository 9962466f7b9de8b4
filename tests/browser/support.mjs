// A browser, the page, and the library's numbers.

import { execFile } from 'node:child_process';
import { mkdtemp, mkdir, rm, writeFile, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { PARAMETERS, configuration } from './settings.mjs';

const run = promisify(execFile);
/** Set by `run`: the built example, the installed browser, and where pictures go. */
const { EXPLORER, CHROMIUM, SCREENSHOTS } = process.env;

/** A browser with the page open. `seen` collects what should not happen. */
export async function open() {
  const directory = await mkdtemp(path.join(tmpdir(), 'hardgrad-browser-'));
  await mkdir(SCREENSHOTS, { recursive: true });
  const file = path.join(directory, 'explorer.html');
  const { stdout } = await run(EXPLORER, ['--out', file]);
  const context = await chromium.launchPersistentContext(path.join(directory, 'profile'), {
    executablePath: CHROMIUM,
    headless: true,
    viewport: { width: 1200, height: 900 },
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const page = await context.newPage();
  const seen = { requests: [], console: [], errors: [] };
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('console', (message) => seen.console.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => seen.errors.push(error.message));
  const url = pathToFileURL(file).href;
  await page.goto(url);
  const close = async () => {
    await context.close();
    await rm(directory, { recursive: true, force: true });
  };
  return { page, seen, url, printed: stdout.trim(), bytes: (await readFile(file)).length, file, close };
}

/** The library's numbers for these settings of one panel. */
export async function library(panel, settings) {
  const directory = await mkdtemp(path.join(tmpdir(), 'hardgrad-answer-'));
  try {
    const file = path.join(directory, 'settings.json');
    await writeFile(file, JSON.stringify(settings.map((setting) => ({ [panel]: setting }))));
    const { stdout } = await run(EXPLORER, ['--answer', file], { maxBuffer: 2 ** 29 });
    return JSON.parse(stdout);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What the example `train_vae` complains about with these arguments. */
export async function trainVae(args) {
  const failed = await run(path.join(path.dirname(EXPLORER), 'train_vae'), args.split(' ')).catch((error) => error);
  return failed.stderr;
}

/** Waits until the page has shown its state. */
export const settle = (page) =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

export async function press(page, id, ...keys) {
  await page.focus(`#${id}`);
  for (const key of keys) await page.keyboard.press(key);
  await settle(page);
}

/**
 * What the controls say, as the settings of both sides; what the page believes; and every number it
 * shows.
 */
export async function snapshot(page) {
  const raw = await page.evaluate((PARAMETERS) => {
    const value = (id) => document.getElementById(id)?.value;
    const text = (id) => document.getElementById(id)?.textContent.replace('−', '-');
    const parameters = (side) => Object.fromEntries(PARAMETERS.map((name) => [name, text(`${name}-${side}-value`)]));
    const categories = Number(document.querySelector('[name=categories]:checked').value);
    return {
      categories,
      loss: value('loss'),
      theta: Array.from({ length: categories }, (_, j) => Number(text(`theta-${j + 1}-value`))),
      average: Number(text('average-value')),
      sides: ['A', 'B'].map((name) => ({
        estimator: value(`estimator-${name}`),
        form: Number(value(`form-${name}`) ?? 0),
        values: parameters(name),
      })),
      believed: ['A', 'B'].map((name) => hardgrad.settings(name)),
      shown: Object.fromEntries(
        [...document.querySelectorAll('section:not(.panel) [data-shown]')].map((element) => [
          element.dataset.shown,
          { text: element.textContent, value: Number(element.dataset.value) },
        ]),
      ),
      // The tip of the arrow, the upper corner of the mean's mark, and the ellipse, in the plots'
      // own coordinates.
      plotted: ['A', 'B'].map((name) => {
        const find = (selector) => document.querySelector(`#cloud-${name} ${selector}`);
        const start = (selector) =>
          find(selector)
            ?.getAttribute('d')
            .match(/^M([-\d.e]+) ([-\d.e]+)/)
            .slice(1)
            .map(Number);
        const radii = ['rx', 'ry'].map((radius) => Number(find('ellipse')?.getAttribute(radius)));
        return { exact: start('.exact path'), mean: start('path.mean'), radii };
      }),
      corners: [...document.querySelectorAll('#simplex .corner-label')].map((element) => element.textContent),
      readings: ['A', 'B'].map((name) => document.getElementById(`reading-${name}`).textContent),
      uncertainties: ['A', 'B'].map((name) => text(`uncertainty-${name}`)),
      verdict: document.getElementById('verdict').textContent,
      controls: [
        ...document.querySelectorAll(
          'section:not(.panel) :is(button, input, select), body > :not(main) :is(button, input, select)',
        ),
      ].map((element) => element.id || element.textContent),
    };
  }, PARAMETERS);
  const settings = raw.sides.map(({ estimator, form, values }) => {
    const numbers = Object.fromEntries(
      Object.entries(values).map(([name, text]) => [name, text === 'inf' ? text : Number(text)]),
    );
    return {
      categories: raw.categories,
      loss: raw.loss,
      theta: raw.theta,
      estimator: configuration(estimator, form, numbers),
    };
  });
  return { ...raw, settings };
}

export const screenshot = (page, name, options = {}) =>
  page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true, animations: 'disabled', ...options });

/** Every number that a panel shows: by name, its text and its value. */
export const shownIn = (page, panel) =>
  page.$$eval(`#${panel} [data-shown]`, (elements) =>
    Object.fromEntries(
      elements.map((element) => [
        element.dataset.shown,
        { text: element.textContent, value: Number(element.dataset.value) },
      ]),
    ),
  );
