import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

const PLACE = 'dist/page';

/** Puts each file beside itself, compressed, as the broker sends it. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    closeBundle() {
      const files = readdirSync(PLACE, { recursive: true, encoding: 'utf8' }).map((name) => join(PLACE, name));
      for (const file of files.filter((file) => statSync(file).isFile())) {
        writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [svelte(), compressed()],
  build: {
    outDir: PLACE,
    emptyOutDir: true,
    target: 'es2024',
    // The policy of the page takes no script from its text.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  // `npm run dev` beside a broker on its usual port.
  server: { proxy: { '/api': 'http://127.0.0.1:8080' } },
});
