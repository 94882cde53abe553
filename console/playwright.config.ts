import { defineConfig } from '@playwright/test';

export default defineConfig({
  // `scripts/console-tests pictures` draws those of the documentation anew.
  projects: [{ name: 'tests', testDir: 'tests' }, { name: 'pictures', testDir: 'pictures' }, { name: 'measure', testDir: 'measure' }],
  // One broker each; two cores.
  workers: 2,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [['list']],
  outputDir: '../target/console-tests',
  use: {
    browserName: 'chromium',
    viewport: { width: 1280, height: 800 },
    launchOptions: {
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    },
    screenshot: 'only-on-failure',
    trace: 'off',
  },
});
