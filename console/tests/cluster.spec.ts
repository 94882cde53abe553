import type { Page } from '@playwright/test';
import { Cluster } from './cluster';
import { expect, isOpenToAll, signIn, test } from './person';

/** A part of the stack, as one object of a real cluster. */
const part = (name: string, value: string) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, labels: {part: shop}}\ndata: {value: '${value}'}\n`;
const whole = (parts: string[]) => parts.join('---\n');
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

async function publish(page: Page, version: number, manifests: string): Promise<void> {
  await page.getByRole('link', { name: 'Publish' }).click();
  await page.getByLabel('Manifests').fill(manifests);
  await page.getByRole('button', { name: 'See what that would do' }).click();
  await page.getByRole('button', { name: `Publish version ${version}` }).click();
  await expect(page.getByText(new RegExp(`^Version ${version}\\b`))).toBeVisible();
}

/** What the stack's row of an agent comes to, seen without a word of the person who looks. */
async function becomes(page: Page, agent: string, ...words: string[]): Promise<void> {
  const row = page.getByLabel('Status at each agent').getByRole('row').filter({ hasText: agent });
  for (const word of words) await expect(row).toContainText(word, { timeout: 30_000 });
}

test('a real cluster is shipped to, looked after and cleared by mouse', async ({ page, broker }) => {
  test.setTimeout(180_000);
  const cluster = new Cluster();
  const namespace = `console-${crypto.randomUUID().slice(0, 8)}`;
  const runs = (names: string[]) => expect.poll(() => cluster.configMaps(namespace), { timeout: 30_000 }).toEqual(names);
  await broker.agent('edge', cluster.kubeconfig, `${namespace}-agent`);
  await broker.ask('POST', '/stacks', { name: 'shop', options: { default_namespace: namespace, create_namespace: true } });
  await signIn(page, broker.key);
  await expect(page.getByRole('button', { name: 'all 1' })).toBeVisible();

  await page.goto(`${broker.url}/stacks/shop/targets`);
  await page.getByLabel('Agent to give it to').fill('edge');
  await page.getByRole('button', { name: 'Target', exact: true }).click();
  await publish(page, 1, whole(NAMES.map((name) => part(name, '1'))));
  await page.getByRole('link', { name: 'Status' }).click();
  await becomes(page, 'edge', 'Synced', 'Current', '1 of 1');
  await runs(NAMES);
  expect(await cluster.value(namespace, 'a')).toBe('1');

  // What somebody takes away comes back, and the page says that it was gone.
  await page.getByRole('link', { name: 'edge' }).click();
  await expect(page.getByText('8 created')).toBeVisible({ timeout: 30_000 });
  await cluster.delete(namespace, 'b');
  const repaired = page.getByRole('row').filter({ hasText: `ConfigMap ${namespace}/b: it had been deleted` });
  await repaired.getByText('1 created, 7 unchanged').click({ timeout: 30_000 });
  await expect(repaired.getByRole('listitem')).toHaveText([`ConfigMap ${namespace}/b created: it had been deleted`]);
  await runs(NAMES);
  await isOpenToAll(page);

  // What the cluster refuses is told in its words, and what runs goes on.
  await page.goto(`${broker.url}/stacks/shop`);
  const refused = part('a', '2').replace("'2'", '[1]');
  await publish(page, 2, whole([refused, ...NAMES.slice(1).map((name) => part(name, '2'))]));
  await page.getByRole('link', { name: 'Status' }).click();
  await becomes(page, 'edge', 'Failed', 'ConfigMap');
  expect(await cluster.value(namespace, 'a')).toBe('1');
  await page.getByRole('link', { name: 'History' }).click();
  await page.getByRole('button', { name: 'Go back to version 1' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Go back' }).click();
  await expect(page.getByText(/^Version 3\b/)).toBeVisible();
  await page.getByRole('link', { name: 'Status' }).click();
  await becomes(page, 'edge', 'Synced', '3 of 3');

  // What would be lost waits until somebody has seen it.
  await broker.ask('POST', '/stacks/shop/deployment-objects', { manifests: part('a', '3') });
  await becomes(page, 'edge', 'Held', '3 of 4');
  await page.getByRole('link', { name: 'Removals', exact: true }).click();
  await expect(page.getByText('7 of the 8 objects')).toBeVisible();
  await runs(NAMES);
  await page.getByRole('button', { name: 'Approve at edge' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete them' }).click();
  await runs(['a']);
  await page.goto(`${broker.url}/stacks/shop`);
  await becomes(page, 'edge', 'Synced', '4 of 4');

  await page.getByRole('link', { name: 'Targets' }).click();
  await page.getByRole('button', { name: 'End at edge' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End it' }).click();
  await runs([]);
  await page.getByRole('link', { name: 'Fleet' }).click();
  await expect(page.getByRole('button', { name: 'well 1' })).toBeVisible();
});
