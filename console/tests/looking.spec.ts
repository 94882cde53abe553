import { expect, isOpenToAll, signIn, test } from './person';

test('a fleet is found, filtered and shared by its address', async ({ page, broker }) => {
  for (const [name, env] of [['edge-1', 'prod'], ['edge-2', 'prod'], ['edge-10', 'test']]) {
    await broker.ask('POST', '/agents', { name, labels: { env } });
  }
  await signIn(page, broker.key);
  const names = page.getByRole('cell').getByRole('link');
  await expect(names).toHaveText(['edge-1', 'edge-2', 'edge-10']);
  await page.getByLabel('Filter').fill('env=prod');
  await expect(names).toHaveText(['edge-1', 'edge-2']);
  expect(page.url()).toContain('filter=env%3Dprod');
  await page.reload();
  await expect(names).toHaveText(['edge-1', 'edge-2']);
  await page.getByLabel('Filter').fill('nobody');
  await expect(page.getByText('No agent is like that')).toBeVisible();
  await page.getByRole('button', { name: 'Show all' }).click();
  await names.first().click();
  await expect(page.getByRole('heading', { name: 'edge-1' })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('heading', { name: 'Fleet' })).toBeVisible();
});

test('what changes is seen within a second, and through a restart of the broker', async ({ page, broker }) => {
  await broker.ask('POST', '/stacks', { name: 'shop' });
  await signIn(page, broker.key);
  await page.goto(`${broker.url}/stacks/shop`);
  await expect(page.getByText('Nothing is published yet')).toBeVisible();
  await broker.publish('shop', '1');
  await expect(page.getByText('Version 1 ·')).toBeVisible();
  await broker.stop();
  await expect(page.getByRole('status')).toContainText('not heard at present');
  // What was known stays.
  await expect(page.getByText('Version 1 ·')).toBeVisible();
  await broker.start();
  await broker.publish('shop', '2');
  await expect(page.getByText('Version 2 ·')).toBeVisible({ timeout: 20_000 });
  await expect(page.getByRole('status')).toBeEmpty();
});

test('what anybody wrote is text and nothing else', async ({ page, broker }) => {
  const nasty = `<img src=x onerror="document.title='broken'">{{7*7}}\u202e"'\``;
  const { pak } = await broker.ask<{ pak: string }>('POST', '/agents', { name: 'edge', annotations: { note: nasty } });
  const { id } = await broker.ask<{ id: string }>('POST', '/stacks', { name: 'shop' });
  await broker.ask('POST', '/agent-targets', { agent: 'edge', stack: 'shop' });
  const at = new Date().toISOString();
  const event = { id: crypto.randomUUID(), stack: id, action: 'apply', outcome: 'failed', reason: nasty, count: 1, first: at, last: at };
  await broker.ask('POST', '/agent/events', { events: [event] }, pak);
  await signIn(page, broker.key);
  for (const path of ['/agents/edge', '/events']) {
    await page.goto(broker.url + path);
    await expect(page.getByText(nasty).first()).toBeVisible();
    expect(await page.title()).not.toContain('broken');
    await expect(page.locator('main img')).toHaveCount(0);
  }
});

test('every view is open to all, light and dark, and fits a phone', async ({ page, broker }) => {
  await isOpenToAll(page);
  await broker.simulate(50);
  await signIn(page, broker.key);
  await expect(page.getByRole('button', { name: 'connected 50' })).toBeVisible({ timeout: 30_000 });
  const stack = await broker.ask<{ items: { name: string }[] }>('GET', '/stacks').then((page) => page.items[0]?.name);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const path of ['/', '/agents/nobody', '/stacks', `/stacks/${stack}`, '/events', '/agents']) {
      await page.goto(broker.url + path);
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
      await isOpenToAll(page);
    }
  }
  await page.setViewportSize({ width: 390, height: 800 });
  for (const path of ['/', '/stacks', `/stacks/${stack}`, '/events']) {
    await page.goto(broker.url + path);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  }
});
