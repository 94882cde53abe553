import AxeBuilder from '@axe-core/playwright';
import { expect, test as base, type Page } from '@playwright/test';
import { Broker } from './broker';

interface Given {
  broker: Broker;
  /** A page whose console stays empty, and whose policy nothing breaks. */
  page: Page;
}

export const test = base.extend<Given>({
  broker: async ({}, use) => {
    const broker = await Broker.start();
    await use(broker);
    await broker.end();
  },
  page: async ({ page, broker }, use) => {
    const troubles: string[] = [];
    page.on('pageerror', (error) => troubles.push(error.message));
    page.on('console', (message) => {
      // The browser itself notes each answer that refuses something, and each outage.
      const isOfNetwork = message.text().startsWith('Failed to load resource') || message.text().includes('net::ERR_');
      if (['error', 'warning'].includes(message.type()) && !isOfNetwork) troubles.push(message.text());
    });
    await page.goto(broker.url);
    await use(page);
    expect(troubles).toEqual([]);
  },
});

export { expect };

export async function signIn(page: Page, key: string, timeout = 10_000): Promise<void> {
  await page.getByLabel('Key').fill(key, { timeout });
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { name: 'Fleet' })).toBeVisible({ timeout });
}

/** Nothing that keeps people out: contrast, names, roles. */
export async function isOpenToAll(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)).toEqual([]);
}
