import { expect, signIn, test } from './person';

const AGENTS = 10_000;

test('ten thousand clusters are there at a glance', async ({ page, broker }) => {
  test.setTimeout(240_000);
  await broker.simulate(AGENTS);
  const all = async () => {
    const page = await broker.ask<{ items: object[] }>('GET', '/fleet?limit=1').catch(() => ({ items: [] }));
    return page.items.length;
  };
  await expect.poll(all, { timeout: 60_000 }).toBe(1);
  await signIn(page, broker.key);
  // They come while somebody looks.
  await expect(page.getByRole('button', { name: `all ${AGENTS}` })).toBeVisible({ timeout: 120_000 });
  await expect(page.getByRole('button', { name: `well ${AGENTS}` })).toBeVisible({ timeout: 120_000 });
  const rows = page.getByRole('row');
  expect(await rows.count(), 'only those that can be seen are there').toBeLessThan(100);
  // The first tile is the first row.
  const first = await page.getByRole('cell').getByRole('link').first().textContent();
  await page.locator('canvas').hover({ position: { x: 3, y: 3 } });
  await expect(page.locator('.word strong')).toHaveText(first ?? '');
  await page.getByLabel('Filter').fill(`${first}`);
  await expect(page.getByRole('cell').getByRole('link').first()).toHaveText(first ?? '');
  await page.locator('canvas').click({ position: { x: 3, y: 3 } });
  await expect(page.getByRole('heading', { name: first ?? '' })).toBeVisible();
});
