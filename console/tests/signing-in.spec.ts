import { expect, signIn, test } from './person';

test('who signs in sees the fleet, also after coming back, until they sign out', async ({ page, broker, context }) => {
  await expect(page.getByLabel('Key')).toBeFocused();
  // Only password managers look at the other one.
  await expect(page.locator('input:visible')).toHaveCount(1);
  await page.getByLabel('Key').fill(`${broker.key.slice(0, -1)}x`);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('alert')).toContainText('not known here');
  await signIn(page, broker.key);
  const [cookie] = await context.cookies(`${broker.url}/api/v1`);
  expect(cookie).toMatchObject({ name: 'brokkr_session', httpOnly: true, sameSite: 'Strict', path: '/api/v1' });
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage, cookie: document.cookie }))).not.toContain('brokkr_n_');
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Fleet' })).toBeVisible();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByLabel('Key')).toBeVisible();
  await page.goto(`${broker.url}/stacks`);
  await expect(page.getByLabel('Key')).toBeVisible();
});

test('a revoked key ends the sign-in, and says so', async ({ page, broker }) => {
  const made = await broker.ask<{ pak: string; key: { id: string } }>('POST', '/keys', { for: 'admin', name: 'visitor' });
  await signIn(page, made.pak);
  await page.getByRole('link', { name: 'Events' }).click();
  await broker.ask('DELETE', `/keys/${made.key.id}`);
  // Without a click.
  await expect(page.getByRole('status')).toContainText('The sign-in is over');
});

test('who cannot sign out is told so', async ({ page, broker }) => {
  await signIn(page, broker.key);
  await broker.stop();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByText('You are still signed in')).toBeVisible();
  await broker.start();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByLabel('Key')).toBeVisible();
});

test('a generator sees only its own', async ({ page, broker }) => {
  await broker.ask('POST', '/stacks', { name: 'of-the-operators' });
  const { pak } = await broker.ask<{ pak: string }>('POST', '/generators', { name: 'ci', scope: 'all_agents' });
  await broker.ask('POST', '/stacks', { name: 'shop' }, pak);
  await signIn(page, pak);
  await expect(page.getByText('generator ci')).toBeVisible();
  await page.getByRole('link', { name: 'Stacks' }).click();
  await expect(page.getByRole('link', { name: 'ci:shop' })).toBeVisible();
  await expect(page.getByText('of-the-operators')).toHaveCount(0);
});

test('who opens a shared address signs in, and is there', async ({ page, broker }) => {
  await broker.ask('POST', '/stacks', { name: 'shop' });
  await page.goto(`${broker.url}/stacks/shop/history?from=1`);
  await page.getByLabel('Key').fill(broker.key);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'shop' })).toBeVisible();
  expect(page.url()).toContain('/stacks/shop/history?from=1');
});
