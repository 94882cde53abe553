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

test('the files of the page are small, and read once', async ({ request, broker }) => {
  const get = (path: string, encoding = '') => request.get(broker.url + path, { headers: { 'Accept-Encoding': encoding } });
  const page = await get('/');
  expect(page.headers()['cache-control'], 'another broker may have another one').toBe('no-cache');
  const assets = [...(await page.text()).matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path = '']) => path);
  expect(assets.length).toBeGreaterThan(1);
  let bytes = 0;
  for (const path of assets) {
    const [plain, compressed] = [await get(path), await get(path, 'gzip, br')];
    // What a digest names never changes.
    expect(plain.headers()['cache-control']).toContain('immutable');
    expect(plain.headers()['content-encoding']).toBeUndefined();
    expect(plain.headers()['vary']).toBe('accept-encoding');
    expect(await compressed.text()).toBe(await plain.text());
    if (!path.endsWith('.svg')) {
      expect(compressed.headers()['content-encoding']).toBe('gzip');
      expect(Number(compressed.headers()['content-length'])).toBeLessThan(Number(plain.headers()['content-length']) / 2);
    }
    bytes += Number(compressed.headers()['content-length']);
    // What is read later is named in what is read first.
    for (const [, name] of (await plain.text()).matchAll(/(?:assets|\.)\/([\w-]+\.(?:js|css))/g)) {
      if (!assets.includes(`/assets/${name}`)) assets.push(`/assets/${name}`);
    }
  }
  expect(assets.length).toBeGreaterThan(2);
  expect(bytes).toBeLessThan(250 * 1024);
});

test('what somebody points at stays where it is until they are done', async ({ page, broker }) => {
  const { id: stack } = await broker.ask<{ id: string }>('POST', '/stacks', { name: 'shop' });
  const keys = new Map<string, string>();
  for (const name of ['edge-1', 'edge-2', 'edge-3']) {
    keys.set(name, (await broker.ask<{ pak: string }>('POST', '/agents', { name })).pak);
    await broker.ask('POST', '/agent-targets', { agent: name, stack });
  }
  await broker.publish('shop', '1');
  await signIn(page, broker.key);
  const names = page.getByRole('cell').getByRole('link');
  await expect(names).toHaveText(['edge-1', 'edge-2', 'edge-3']);
  await names.first().hover();
  await broker.ask('GET', '/agent/target-state', undefined, keys.get('edge-3'));
  await broker.ask('PUT', '/agent/status', { stacks: [{ stack, seen: 1, sync: 'Failed', health: 'Unknown', reason: 'no' }] }, keys.get('edge-3'));
  await expect(page.getByRole('row', { name: 'edge-3 failing' })).toBeVisible();
  await expect(names).toHaveText(['edge-1', 'edge-2', 'edge-3']);
  await page.getByRole('heading', { name: 'Fleet' }).hover();
  await expect(names).toHaveText(['edge-3', 'edge-1', 'edge-2']);
});

test('what changes is seen within a second, and through a restart of the broker', async ({ page, broker }) => {
  const stack = await broker.ask<{ id: string }>('POST', '/stacks', { name: 'shop' });
  await signIn(page, broker.key);
  await page.goto(`${broker.url}/stacks/shop`);
  await expect(page.getByText('Nothing is published yet')).toBeVisible();
  await broker.publish('shop', '1');
  await expect(page.getByText(/^Version 1/)).toBeVisible();
  // What is read at the beginning is over by now: it is the news that bring these.
  const took: number[] = [];
  for (const version of [2, 3]) {
    const seen = page.getByText(new RegExp(`^Version ${version}`)).waitFor();
    const begun = performance.now();
    await broker.publish('shop', `${version}`);
    await seen;
    took.push(performance.now() - begun);
  }
  // Other tests have the same two cores.
  expect(Math.min(...took)).toBeLessThan(1_000);
  const { pak } = await broker.ask<{ pak: string }>('POST', '/agents', { name: 'edge' });
  await broker.ask('POST', '/agent-targets', { agent: 'edge', stack: 'shop' });
  await broker.ask('GET', '/agent/target-state', undefined, pak);
  const row = page.getByRole('row').filter({ hasText: 'edge' });
  for (const sync of ['Failed', 'Applying', 'Synced']) {
    await broker.ask('PUT', '/agent/status', { stacks: [{ stack: stack.id, seen: 3, applied: 3, sync, health: 'Current' }] }, pak);
    await expect(row).toContainText(sync);
  }
  await broker.stop();
  await expect(page.getByRole('status')).toContainText('not heard at present');
  // What was known stays.
  await expect(page.getByText(/^Version 3/)).toBeVisible();
  await broker.start();
  await broker.publish('shop', '4');
  await expect(page.getByText(/^Version 4/)).toBeVisible({ timeout: 20_000 });
  await expect(page.getByRole('status')).toBeEmpty();
});

test('over a slow network it is slower, and as good', async ({ page, broker, context }) => {
  await broker.ask('POST', '/agents', { name: 'edge' });
  await broker.ask('POST', '/stacks', { name: 'shop' });
  const network = await context.newCDPSession(page);
  await network.send('Network.enable');
  // A phone far from a mast.
  const slow = { offline: false, latency: 800, downloadThroughput: 12_000, uploadThroughput: 6_000 };
  await network.send('Network.emulateNetworkConditions', slow);
  await page.reload();
  await signIn(page, broker.key, 30_000);
  await expect(page.getByRole('link', { name: 'edge' })).toBeVisible({ timeout: 30_000 });
  await page.getByRole('link', { name: 'Stacks' }).click();
  await page.getByRole('link', { name: 'shop' }).click({ timeout: 30_000 });
  await expect(page.getByText(/^Nothing is published yet/)).toBeVisible({ timeout: 30_000 });
  await broker.publish('shop', '1');
  await expect(page.getByText(/^Version 1/)).toBeVisible({ timeout: 30_000 });
  // For a while nothing comes through at all.
  await network.send('Network.emulateNetworkConditions', { ...slow, offline: true });
  await page.getByRole('link', { name: 'History' }).click();
  await expect(page.getByRole('alert').first()).toContainText('does not answer');
  await network.send('Network.emulateNetworkConditions', slow);
  await expect(page.getByRole('heading', { name: 'From version none to 1' })).toBeVisible({ timeout: 45_000 });
  await expect(page.getByRole('alert')).toHaveCount(0);
});

test('what anybody wrote is text and nothing else', async ({ page, broker }) => {
  const nasty = [
    `<img src=x onerror="window.broken=1">`, `<svg/onload=window.broken=1>`, `</script><script>window.broken=1</script>`,
    `"><a href="javascript:window.broken=1">x</a>`, `{{7*7}}\${7*7}{@html 1}`, `\u202etxt.exe"'\``,
  ].join(' ');
  const { pak } = await broker.ask<{ pak: string }>('POST', '/agents', { name: 'edge', annotations: { note: nasty } });
  const { id } = await broker.ask<{ id: string }>('POST', '/stacks', { name: 'shop' });
  await broker.ask('POST', '/agent-targets', { agent: 'edge', stack: 'shop' });
  const manifests = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  value: ${JSON.stringify(nasty)}\n`;
  await broker.ask('POST', '/stacks/shop/deployment-objects', { manifests, options: { message: nasty } });
  const at = new Date().toISOString();
  const object = { kind: nasty, namespace: nasty, name: nasty };
  // Twice the same, which no agent should tell.
  const objects = [1, 2].map(() => ({ object, result: 'failed', reason: nasty }));
  const event = { id: crypto.randomUUID(), stack: id, action: 'apply', outcome: 'failed', reason: nasty, objects, count: 1, first: at, last: at };
  await broker.ask('GET', '/agent/target-state', undefined, pak);
  await broker.ask('PUT', '/agent/facts', { kubernetes_version: nasty, provider: nasty, region: nasty, kinds: [nasty] }, pak);
  await broker.ask('POST', '/agent/events', { events: [event] }, pak);
  const held = { cause: { snapshot: 1 }, objects: [object], owned: 5 };
  await broker.ask('PUT', '/agent/status', { stacks: [{ stack: id, seen: 1, sync: 'Held', health: 'Current', reason: nasty, held }] }, pak);
  await signIn(page, broker.key);
  const word = '7*7';
  const isInert = async (of: string) => {
    expect(await page.evaluate(() => 'broken' in window), of).toBe(false);
    await expect(page.locator(of).locator('img, svg, script, a[href^="javascript:"]')).toHaveCount(0);
  };
  // Where it is shown; what is folded is there too.
  const places: [string, string[]][] = [
    ['/agents/edge', ['dd:has-text("7*7")', 'td.why', 'td li']],
    ['/stacks/shop', ['td a[title]']],
    ['/stacks/shop/history', ['td.why', 'details .added']],
    ['/events', ['td.why', 'td li']],
    ['/audit', ['td pre']],
    [`/agents/${encodeURIComponent(nasty)}`, ['h1']],
  ];
  for (const [path, shown] of places) {
    await page.goto(broker.url + path);
    for (const place of shown) {
      const found = page.locator(`main ${place}`).filter({ hasText: word }).first();
      await expect(found, `${path} ${place}`).toBeAttached();
    }
    await isInert('main');
  }
  await page.goto(`${broker.url}/removals`);
  await page.getByRole('button', { name: 'Approve at edge' }).click();
  await expect(page.getByRole('dialog')).toContainText(word);
  await isInert('dialog');
});

test('every view is open to all, light and dark, and fits a phone', async ({ page, broker }) => {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await isOpenToAll(page);
  }
  await broker.simulate(50);
  await signIn(page, broker.key);
  await expect(page.getByRole('button', { name: 'well 50' })).toBeVisible({ timeout: 30_000 });
  const events = () => broker.ask<{ items: unknown[] }>('GET', '/events?limit=1').then(({ items }) => items.length);
  await expect.poll(events, { timeout: 30_000 }).toBe(1);
  const first = async (path: string) => {
    const page = await broker.ask<{ items: { name: string }[] }>('GET', path);
    return page.items[0]?.name ?? '';
  };
  const [agent, stack] = [await first('/agents'), await first('/stacks')];
  // With what is there once there is something to show.
  const views: [string, string][] = [
    [`/?filter=${agent}`, agent],
    [`/agents/${agent}`, 'Registered'],
    ['/agents/nobody', 'there is no agent'],
    ['/stacks', stack],
    ['/?by=load', 'well'],
    [`/stacks/${stack}`, 'Synced'],
    [`/stacks/${stack}/targets?agent=${agent}`, 'runs it'],
    [`/stacks/${stack}/history`, 'From version'],
    [`/stacks/${stack}/publish`, 'Manifests'],
    [`/stacks/${stack}/nowhere`, 'no such part'],
    ['/removals', 'Nothing is held'],
    ['/events', 'When'],
    ['/events?outcome=held', 'No agent has told'],
    ['/keys', 'yours'],
    ['/audit', 'What changed'],
    ['/settings', 'How long what is kept'],
    ['/agents', 'Nothing is here'],
    ['/agents/%', 'there is no'],
  ];
  const open = async ([path, shows]: [string, string]) => {
    await page.goto(broker.url + path);
    await expect(page.getByText(shows).first()).toBeVisible();
  };
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const view of views) {
      await open(view);
      await isOpenToAll(page);
    }
  }
  await page.setViewportSize({ width: 390, height: 800 });
  for (const view of views) {
    await open(view);
    expect(await page.evaluate(() => document.documentElement.scrollWidth), view[0]).toBeLessThanOrEqual(390);
  }
});

test('whoever moves by the keyboard is where they went', async ({ page, broker }) => {
  await broker.ask('POST', '/agents', { name: 'edge' });
  await signIn(page, broker.key);
  await page.getByRole('link', { name: 'edge' }).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'edge' })).toBeVisible();
  await expect(page.getByRole('main')).toBeFocused();
});
