import type { Page } from '@playwright/test';
import type { Broker } from './broker';
import { expect, isOpenToAll, signIn, test } from './person';

const text = (version: string, more = '') =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  version: '${version}'\n${more}`;
const OTHER = '---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: flags\n';

/** A stack that an agent runs. */
async function given(broker: Broker): Promise<{ agent: string; stack: string }> {
  const { pak } = await broker.ask<{ pak: string }>('POST', '/agents', { name: 'edge' });
  const { id } = await broker.ask<{ id: string }>('POST', '/stacks', { name: 'shop' });
  await broker.ask('POST', '/agent-targets', { agent: 'edge', stack: 'shop' });
  return { agent: pak, stack: id };
}

async function paste(page: Page, manifests: string): Promise<void> {
  await page.getByLabel('Manifests').fill(manifests);
  await page.getByRole('button', { name: 'See what that would do' }).click();
}

test('a version is published, compared and taken back by mouse', async ({ page, broker }) => {
  await given(broker);
  await signIn(page, broker.key);
  await page.getByRole('link', { name: 'Stacks' }).click();
  await page.getByRole('link', { name: 'shop' }).click();
  await page.getByRole('link', { name: 'Publish' }).click();
  await page.getByLabel('Why').fill('the first one');
  await paste(page, text('1', OTHER));
  await expect(page.getByText('It goes to 1 agent: edge.')).toBeVisible();
  await isOpenToAll(page);
  await page.getByRole('button', { name: 'Publish version 1' }).click();
  await expect(page.getByText(/^Version 1/)).toBeVisible();
  await page.getByRole('link', { name: 'Publish' }).click();
  // What it would take away is told before it does.
  await paste(page, text('2'));
  await expect(page.getByText('no longer in it, deleted at 1 agent: 1')).toBeVisible();
  await expect(page.getByText("version: '2'")).toBeVisible();
  await page.getByRole('button', { name: 'Publish version 2' }).click();
  await expect(page.getByText(/^Version 2/)).toBeVisible();
  await page.getByRole('link', { name: 'History' }).click();
  await expect(page.getByRole('heading', { name: 'From version 1 to 2' })).toBeVisible();
  await expect(page.getByText('ConfigMap flags gone')).toBeVisible();
  await expect(page.locator('.removed')).toContainText(["version: '1'"]);
  await expect(page.locator('.added')).toHaveText([/version: '2'/]);
  await page.getByRole('button', { name: 'Go back to version 1' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByText('takes nothing away')).toBeVisible();
  await isOpenToAll(page);
  await dialog.getByRole('button', { name: 'Go back' }).click();
  await expect(dialog).toHaveCount(0);
  await expect(page.getByText(/^Version 3/)).toBeVisible();
  const { items } = await broker.ask<{ items: { message?: string; digest: string }[] }>('GET', '/stacks/shop/deployment-objects');
  expect(items.map(({ message }) => message)).toEqual(['rollback to 1', undefined, 'the first one']);
  expect(items[0]?.digest).toBe(items[2]?.digest);
});

test('the same goes by the keyboard alone', async ({ page, broker }) => {
  await given(broker);
  for (const version of ['1', '2']) await broker.publish('shop', version);
  await signIn(page, broker.key);
  await page.goto(`${broker.url}/stacks/shop/publish`);
  await page.getByLabel('Manifests').focus();
  await page.keyboard.insertText(text('3'));
  await page.keyboard.press('Tab');
  await page.keyboard.type('by hand');
  await page.keyboard.press('Enter');
  const publish = page.getByRole('button', { name: 'Publish version 3' });
  await expect(publish).toBeVisible();
  await publish.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByText(/^Version 3/)).toBeVisible();
  await page.goto(`${broker.url}/stacks/shop/history`);
  // From the second radio of the row down to the version before.
  await page.getByLabel('Compare from version 2').focus();
  await page.keyboard.press('ArrowDown');
  await expect(page.getByRole('heading', { name: 'From version 1 to 3' })).toBeVisible();
  const back = page.getByRole('button', { name: 'Go back to version 1' });
  await back.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(back).toBeFocused();
  await page.keyboard.press('Enter');
  const go = page.getByRole('dialog').getByRole('button', { name: 'Go back' });
  await expect(go).toBeEnabled();
  await go.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByText(/^Version 4/)).toBeVisible();
});

test('what is published meanwhile is not overwritten unseen', async ({ page, broker }) => {
  await given(broker);
  await signIn(page, broker.key);
  await page.goto(`${broker.url}/stacks/shop/publish`);
  await paste(page, text('mine'));
  const publish = page.getByRole('button', { name: 'Publish version 1' });
  await expect(publish).toBeVisible();
  await broker.publish('shop', 'theirs');
  await publish.click();
  await expect(page.getByRole('alert')).toContainText('sequence');
  await paste(page, 'kind: [');
  await expect(page.getByRole('alert')).toContainText('line');
  await broker.publish('shop', 'newer');
  await page.goto(`${broker.url}/stacks/shop/history`);
  await page.getByRole('button', { name: 'Go back to version 1' }).click();
  const dialog = page.getByRole('dialog');
  const go = dialog.getByRole('button', { name: 'Go back' });
  await expect(go).toBeEnabled();
  await broker.publish('shop', 'newest');
  await go.click();
  await expect(dialog.getByRole('alert').first()).toContainText('sequence');
});

test('files are published together, and again when they were edited', async ({ page, broker }) => {
  await given(broker);
  await signIn(page, broker.key);
  await page.goto(`${broker.url}/stacks/shop/publish`);
  const file = (name: string, text: string) => ({ name, mimeType: 'application/yaml', buffer: Buffer.from(text) });
  const flags = file('flags.yaml', OTHER);
  for (const version of ['1', '2']) {
    await page.getByLabel('Files').setInputFiles([file('settings.yaml', text(version)), flags]);
    await expect(page.getByLabel('Manifests')).toHaveValue(new RegExp(`version: '${version}'[^]*name: flags`));
  }
  await page.getByRole('button', { name: 'See what that would do' }).click();
  await page.getByRole('button', { name: 'Publish version 1' }).click();
  await expect(page.getByText(/^Version 1/)).toBeVisible();
  const { items } = await broker.ask<{ items: { objects: number }[] }>('GET', '/stacks/shop/deployment-objects');
  expect(items[0]?.objects).toBe(2);
});

test('a version for another namespace is told apart', async ({ page, broker }) => {
  await given(broker);
  await broker.publish('shop', '1');
  await broker.ask('PATCH', '/stacks/shop', { options: { default_namespace: 'elsewhere' } });
  await signIn(page, broker.key);
  await page.goto(`${broker.url}/stacks/shop/publish`);
  await paste(page, `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {value: '1'}\n`);
  const seen = async () => {
    await expect(page.getByText('Where objects are that name no namespace')).toBeVisible();
    await expect(page.locator('.added')).toHaveText([/elsewhere/]);
  };
  await seen();
  await page.getByRole('button', { name: 'Publish version 2' }).click();
  await expect(page.getByText(/^Version 2/)).toBeVisible();
  await page.getByRole('link', { name: 'History' }).click();
  await seen();
});

test('who pauses what another has paused does not resume it', async ({ page, broker }) => {
  await given(broker);
  await signIn(page, broker.key);
  await page.goto(`${broker.url}/stacks/shop`);
  await page.getByRole('button', { name: 'Pause' }).click();
  await broker.ask('PATCH', '/stacks/shop', { options: { paused: true } });
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByText('It is so already')).toBeVisible();
  await dialog.getByRole('button', { name: 'Pause' }).click();
  await expect(dialog).toHaveCount(0);
  const { options } = await broker.ask<{ options: { paused: boolean } }>('GET', '/stacks/shop');
  expect(options.paused).toBe(true);
});

test('a held loss is confirmed, and another refused', async ({ page, broker }) => {
  const { agent, stack } = await given(broker);
  await broker.publish('shop', '1');
  const objects = ['a', 'b'].map((name) => ({ kind: 'ConfigMap', namespace: 'shop', name }));
  const status = { stack, seen: 1, sync: 'Held', health: 'Current', held: { cause: { snapshot: 1 }, objects, owned: 5 } };
  const hold = async () => {
    await broker.ask('GET', '/agent/target-state', undefined, agent);
    await broker.ask('PUT', '/agent/status', { stacks: [status] }, agent);
  };
  await hold();
  await signIn(page, broker.key);
  await expect(page.getByRole('button', { name: 'held 1' })).toBeVisible();
  await page.getByRole('link', { name: 'Removals' }).click();
  await expect(page.getByText('2 of the 5 objects')).toBeVisible();
  await page.getByRole('button', { name: 'Approve at edge' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByText('ConfigMap shop/b')).toBeVisible();
  await isOpenToAll(page);
  // Nobody approves what they have not seen.
  status.held.objects.push({ kind: 'ConfigMap', namespace: 'shop', name: 'c' });
  await hold();
  await expect(dialog.getByRole('alert')).toContainText('changed meanwhile');
  await expect(dialog.getByRole('button', { name: 'Delete them' })).toBeDisabled();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Approve at edge' }).click();
  await expect(dialog.getByText('ConfigMap shop/c')).toBeVisible();
  await dialog.getByRole('button', { name: 'Delete them' }).click();
  await expect(page.getByText('Nothing is held')).toBeVisible();
  const approved = await broker.ask<{ items: { action: string }[] }>('GET', '/audit?action=removal_approve');
  expect(approved.items).toHaveLength(1);
  await broker.publish('shop', '2');
  status.seen = status.held.cause.snapshot = 2;
  await hold();
  await page.goto(`${broker.url}/stacks/shop`);
  await page.getByRole('button', { name: 'Refuse at edge' }).click();
  await dialog.getByRole('button', { name: 'Let them stay' }).click();
  await expect(page.getByText('Waits until somebody decides')).toHaveCount(0);
});

test('a new key is shown once, and opens', async ({ page, broker, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await signIn(page, broker.key);
  await page.getByRole('link', { name: 'Keys' }).click();
  await page.getByLabel('Name').first().fill('ci');
  await page.getByLabel('Labels', { exact: true }).fill('env=test');
  await page.getByRole('button', { name: 'Register' }).click();
  const dialog = page.getByRole('dialog');
  const key = await dialog.getByLabel('Key').inputValue();
  await dialog.getByRole('button', { name: 'Copy' }).click();
  await expect(dialog.getByText('Copied.')).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(key);
  await isOpenToAll(page);
  await dialog.getByRole('button', { name: 'I have it' }).click();
  await expect(page.getByRole('cell', { name: 'generator ci', exact: true })).toBeVisible();
  expect(await page.content()).not.toContain(key);
  expect(await broker.ask('GET', '/me', undefined, key)).toMatchObject({ role: 'generator', name: 'ci' });
  // Another one of the same, and the end of the first.
  await page.getByLabel('Of', { exact: true }).fill('generator ci');
  await page.getByLabel('Name').last().fill('second');
  await page.getByRole('button', { name: 'Make a key' }).click();
  const second = await dialog.getByLabel('Key').inputValue();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Revoke generator ci first' }).click();
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByRole('button', { name: 'Revoke generator ci first' })).toHaveCount(0);
  await expect(broker.ask('GET', '/me', undefined, key)).rejects.toThrow('401');
  expect(await broker.ask('GET', '/me', undefined, second)).toMatchObject({ name: 'ci' });
});

test('an agent is paused, resumed and retired, as the audit says', async ({ page, broker }) => {
  const { agent } = await given(broker);
  await signIn(page, broker.key);
  await page.goto(`${broker.url}/agents/edge`);
  const dialog = page.getByRole('dialog');
  await broker.ask('GET', '/agent/target-state', undefined, agent);
  for (const [act, other, condition] of [['Pause', 'Resume', 'paused'], ['Resume', 'Pause', 'changing']] as const) {
    await page.getByRole('button', { name: act }).click();
    await dialog.getByRole('button', { name: act }).click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(`edge ${condition}`);
    await expect(page.getByRole('button', { name: other })).toBeVisible();
  }
  await page.getByRole('button', { name: 'Retire' }).click();
  await expect(dialog.getByText('shop at edge, whose objects are deleted')).toBeVisible();
  await dialog.getByLabel('stays in its cluster').check();
  await expect(dialog.getByText('shop at edge, whose objects stay')).toBeVisible();
  await isOpenToAll(page);
  await dialog.getByRole('button', { name: 'Retire' }).click();
  await expect(dialog).toHaveCount(0);
  await page.getByRole('link', { name: 'Audit' }).click();
  await expect(page.getByRole('cell', { name: 'agent retire' })).toBeVisible();
  await page.getByLabel('What').selectOption('agent_change');
  await expect(page.getByRole('cell', { name: 'agent change' })).toHaveCount(2);
  await expect(page.getByRole('cell', { name: 'agent retire' })).toHaveCount(0);
});

test('settings are changed, and go back to the default', async ({ page, broker }) => {
  await signIn(page, broker.key);
  await broker.ask('PATCH', '/settings', { paused: true });
  await expect(page.getByText('All agents are paused')).toBeVisible();
  await broker.ask('PATCH', '/settings', { paused: false });
  await expect(page.getByText('All agents are paused')).toHaveCount(0);
  await page.getByRole('link', { name: 'Settings' }).click();
  const days = page.getByLabel('What agents did');
  await days.fill('30');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Saved.')).toBeVisible();
  const kept = async () => (await broker.ask<{ retention: object }>('GET', '/settings')).retention;
  expect(await kept()).toMatchObject({ agent_events_days: 30 });
  await days.fill('0');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('alert')).toContainText('3650');
  await days.fill('');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Saved.')).toBeVisible();
  expect(await kept()).toMatchObject({ agent_events_days: null });
  // What another has changed since is not overwritten unseen.
  await broker.ask('PATCH', '/settings', { retention: { audit_days: 3650 } });
  await page.getByLabel('The audit').fill('90');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  expect(await kept()).toMatchObject({ audit_days: 3650 });
});

test('why an agent runs a stack is told, and who targets it sees it', async ({ page, broker }) => {
  await broker.ask('POST', '/agents', { name: 'edge', labels: { env: 'test' } });
  await broker.ask('POST', '/stacks', { name: 'shop', targeting: { rules: [{ labels: 'env=prod' }] } });
  await signIn(page, broker.key);
  await page.goto(`${broker.url}/stacks/shop/targets?agent=edge`);
  await expect(page.getByText('does not run it')).toBeVisible();
  await expect(page.getByText('the agent has test')).toBeVisible();
  await page.getByLabel('Agent to give it to').fill('edge');
  await page.getByRole('button', { name: 'Target', exact: true }).click();
  await expect(page.getByText('runs it', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'End at edge' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByText('shop at edge, whose objects are deleted')).toBeVisible();
  await dialog.getByRole('button', { name: 'End it' }).click();
  await expect(page.getByText('does not run it')).toBeVisible();
});
