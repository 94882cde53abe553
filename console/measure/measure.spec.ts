import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, signIn, test } from '../tests/person';

const AGENTS = 10_000;
const RUNS = 5;
/** What is written to: what was measured, each of several runs. */
const FIGURES = process.env['FIGURES'] ?? 'figures.json';
const PAGE = 'dist/page';

/** How long the browser takes from what somebody does to what they see of it, as it says itself; the longest of all. */
interface Watched {
  longest: number;
}

test('what a fleet of ten thousand costs whoever looks at it', async ({ page, broker }) => {
  test.setTimeout(600_000);
  await broker.simulate(AGENTS);
  const all = page.getByRole('button', { name: `all ${AGENTS}` });
  await expect.poll(() => broker.ask('GET', '/fleet?limit=1').then(() => true, () => false)).toBe(true);
  await signIn(page, broker.key);
  await expect(page.getByRole('button', { name: `well ${AGENTS}` })).toBeVisible({ timeout: 180_000 });
  // What the start of a fleet leaves to do is not the page's.
  await page.waitForTimeout(5_000);
  const [views, actions]: [number[], number[]] = [[], []];
  for (let run = 0; run < RUNS; run++) {
    await page.goto(`${broker.url}/`);
    // From the first byte that is asked for to the frame in which all of them are there.
    const seen = await page.evaluate(
      (all) =>
        new Promise<number>((resolve) => {
          const look = () => {
            const canvas = document.querySelector('canvas');
            const isThere = [...document.querySelectorAll('button')].some((button) => button.textContent?.trim() === all);
            if (isThere && canvas && canvas.height > 0) requestAnimationFrame(() => resolve(performance.now()));
            else requestAnimationFrame(look);
          };
          look();
        }),
      `all ${AGENTS}`,
    );
    views.push(seen);
    await page.evaluate(() => {
      const watched: Watched = { longest: 0 };
      Object.assign(window, { watched });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) watched.longest = Math.max(watched.longest, entry.duration);
      }).observe({ type: 'event', durationThreshold: 16 } as PerformanceObserverInit);
    });
    await page.getByLabel('Filter').pressSequentially('simulated', { delay: 60 });
    await page.getByLabel('Filter').press('ControlOrMeta+a');
    await page.keyboard.press('Backspace');
    await page.getByRole('button', { name: /^well/ }).click();
    await page.getByRole('button', { name: /^all/ }).click();
    const tiles = page.locator('canvas').first();
    for (let at = 0; at < 20; at++) await tiles.hover({ position: { x: 20 + 20 * at, y: 20 + 5 * at } });
    await page.getByRole('region', { name: 'Agents' }).hover();
    for (let at = 0; at < 20; at++) await page.mouse.wheel(0, 2_000);
    await expect(all).toBeVisible();
    await page.waitForTimeout(500);
    actions.push(await page.evaluate(() => (window as unknown as { watched: Watched }).watched.longest));
  }
  await broker.ask('POST', '/stacks', { name: 'measured' });
  await page.goto(`${broker.url}/stacks/measured`);
  await expect(page.getByText(/^Nothing is published yet/)).toBeVisible();
  const news: number[] = [];
  for (let version = 1; version <= RUNS; version++) {
    const seen = page.getByText(new RegExp(`^Version ${version}`)).waitFor();
    const begun = performance.now();
    await broker.publish('measured', `${version}`);
    await seen;
    news.push(performance.now() - begun);
  }
  const files = readdirSync(PAGE, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.gz'));
  const bytes = files.reduce((sum, name) => sum + statSync(join(PAGE, name)).size, 0);
  writeFileSync(FIGURES, JSON.stringify({ views, actions, news, kilobytes: [bytes / 1024] }));
});
