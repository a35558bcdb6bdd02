/**
 * The build's second half, after `tsc`: generates the interpreter's WebAssembly module, and bundles the entry points
 * that must be fast.
 *
 *     node dist/bin/build.js
 *
 * Rollup keeps a module-level `const` a `const` (esbuild makes it a `var`, which V8 does not fold: field
 * accessors measured 1.15x raw typed-array access as `const`, 2.4x as `var`). `CHECKED` becomes false.
 */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Plugin, rollup } from 'rollup';
import { generate_interpreter } from '../engine/platform/interp/generate.ts';
import { bake_tables } from './bake_tables.ts';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Benchmarks: entry points below dist/, and what each bundle is called in dist/bundle/. */
const BENCHMARKS: readonly (readonly [entry: string, bundle: string])[] = [['bench/heap.js', 'bench_heap']];

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

/** The generator is needed only where there is no generated module: it stays outside the bundle. */
const without_generator: Plugin = {
  name: 'without_generator',
  resolveId(source) {
    if (!source.endsWith('/interp/generate.js')) return null;
    return { id: '../engine/platform/interp/generate.js', external: true };
  },
};

const engine_folder = join(dist, 'engine') + sep;

/**
 * The engine, its command line and the vCPU job: three small entries over one file with everything in it, since
 * V8 folds a constant only inside its own module.
 */
const ENGINE_ENTRIES = { engine: 'engine/index.js', vcpu: 'engine/sentry/vcpu_job.js', tvisor: 'bin/tvisor.js' };

async function bundle(input: Record<string, string>, plugins: Plugin[], one_file: string | null): Promise<void> {
  const names = Object.values(input).join(', ');
  const build = await rollup({
    input: Object.fromEntries(Object.entries(input).map(([name, entry]) => [name, join(dist, entry)])),
    plugins,
    // Packages and Node's own modules stay imports.
    external: (id) => !id.startsWith('.') && !id.startsWith('/') && !/^[A-Za-z]:/.test(id) && !id.startsWith('\0'),
    onwarn: (warning) => {
      // The registration order of kernel parts does not matter: they only fill tables.
      if (warning.code === 'CIRCULAR_DEPENDENCY') return;
      throw new Error(`bundling ${names}: ${warning.message}`);
    },
  });
  await build.write({
    dir: join(dist, 'bundle'),
    format: 'es',
    sourcemap: false,
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    ...(one_file === null
      ? {}
      : { manualChunks: (id: string) => (id.startsWith(engine_folder) ? one_file : undefined) }),
  });
  await build.close();
}

const interpreter = generate_interpreter().bytes;
mkdirSync(join(dist, 'bundle'), { recursive: true });
writeFileSync(join(dist, 'engine', 'platform', 'interp', 'interp.wasm'), interpreter);
writeFileSync(join(dist, 'bundle', 'interp.wasm'), interpreter);
await bundle(ENGINE_ENTRIES, [unchecked, bake_tables, without_generator], 'machine');
chmodSync(join(dist, 'bundle', 'tvisor.js'), 0o755);
for (const [entry, name] of BENCHMARKS)
  if (existsSync(join(dist, entry))) await bundle({ [name]: entry }, [unchecked, bake_tables], null);
