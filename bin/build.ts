/**
 * The build's second half, after `tsc`: generates the interpreter's WebAssembly module, and bundles the entry points
 * that must be fast.
 *
 *     node dist/bin/build.js
 *
 * Rollup keeps a module-level `const` a `const` (esbuild makes it a `var`, which V8 does not fold: field
 * accessors measured 1.15x raw typed-array access as `const`, 2.4x as `var`). `CHECKED` becomes false.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Plugin, rollup } from 'rollup';
import { generate_interpreter } from '../engine/platform/interp/generate.ts';
import { bake_tables } from './bake_tables.ts';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Entry points below dist/, and what each bundle is called in dist/bundle/. */
const ENTRIES: readonly (readonly [entry: string, bundle: string])[] = [['bench/heap.js', 'bench_heap.js']];

/** Turns the checked build's switch off. */
const unchecked: Plugin = {
  name: 'unchecked',
  transform(code, id) {
    if (!id.endsWith(join('engine', 'base', 'assert.js'))) return null;
    const replaced = code.replace(/export const CHECKED = [^;]+;/, 'export const CHECKED = false;');
    if (replaced === code) throw new Error('bin/build.ts: engine/base/assert.ts no longer declares CHECKED');
    return { code: replaced, map: null };
  },
};

async function bundle(entry: string, name: string): Promise<void> {
  const build = await rollup({
    input: join(dist, entry),
    plugins: [unchecked, bake_tables],
    // Packages and Node's own modules stay imports.
    external: (id) => !id.startsWith('.') && !id.startsWith('/') && !/^[A-Za-z]:/.test(id) && !id.startsWith('\0'),
    onwarn: (warning) => {
      throw new Error(`bundling ${entry}: ${warning.message}`);
    },
  });
  await build.write({ file: join(dist, 'bundle', name), format: 'es', sourcemap: false });
  await build.close();
}

writeFileSync(join(dist, 'engine', 'platform', 'interp', 'interp.wasm'), generate_interpreter().bytes);
for (const [entry, name] of ENTRIES) if (existsSync(join(dist, entry))) await bundle(entry, name);
