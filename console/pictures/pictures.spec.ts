import { writeFile } from 'node:fs/promises';
import type { Page } from '@playwright/test';
import { expect, signIn, test } from '../tests/person';
import { LESS, live } from './fleet';

const FOLDER = '../docs/console';

/** Views with their addresses, and what they show once they are there. */
const VIEWS: [string, string, string | RegExp][] = [
  ['fleet', '/?by=region', 'eu-central'],
  ['agent', '/agents/edge-11', 'Waits until'],
  ['stacks', '/stacks', 'shop'],
  ['stack', '/stacks/shop', 'Failed 2'],
  ['targets', '/stacks/shop/targets?agent=edge-3', 'the agent has test'],
  ['history', '/stacks/shop/history', 'ConfigMap shop/flags'],
  ['publish', '/stacks/shop/publish', 'Manifests'],
  ['removals', '/removals', '4 of the 12'],
  ['events', '/events?outcome=failed', 'admission webhook'],
  ['keys', '/keys', 'yours'],
  ['audit', '/audit', 'What changed'],
  ['settings', '/settings', 'How long'],
];

/** A picture in a third of its bytes, as the browser itself writes it. */
async function small(studio: Page, png: Buffer): Promise<Buffer> {
  const webp = await studio.evaluate(async (png) => {
    const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [picture.width, picture.height];
    canvas.getContext('2d')?.drawImage(picture, 0, 0);
    return canvas.toDataURL('image/webp', 0.7).split(',')[1] ?? '';
  }, png.toString('base64'));
  return Buffer.from(webp, 'base64');
}

test('pictures for the documentation', async ({ page, broker, context }) => {
  test.setTimeout(180_000);
  const studio = await context.newPage();
  await live(broker);
  const desk = { width: 1100, height: 720 };
  const phone = { width: 390, height: 780 };
  for (const [form, colorScheme, size] of [['light', 'light', desk], ['dark', 'dark', desk], ['phone', 'dark', phone], ['light', 'light', desk]] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await writeFile(`${FOLDER}/sign-in-${form}.webp`, await small(studio, await page.screenshot()));
  }
  await signIn(page, broker.key);
  const take = async ([name, path, shows]: (typeof VIEWS)[number], form: string) => {
    await page.goto(broker.url + path);
    await expect(page.getByText(shows).first()).toBeVisible();
    if (name === 'publish') {
      await page.getByLabel('Manifests').fill(LESS);
      await page.getByRole('button', { name: 'See what that would do' }).click();
      await page.getByRole('heading', { name: 'What that would do' }).scrollIntoViewIfNeeded();
      await page.getByText('no longer in it').scrollIntoViewIfNeeded();
    }
    await writeFile(`${FOLDER}/${name}-${form}.webp`, await small(studio, await page.screenshot()));
  };
  for (const view of VIEWS) await take(view, 'light');
  await page.emulateMedia({ colorScheme: 'dark' });
  for (const view of VIEWS) await take(view, 'dark');
  await page.setViewportSize(phone);
  for (const view of VIEWS) await take(view, 'phone');
});
