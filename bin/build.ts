/**
 * The build's second half, after `tsc`: generates the interpreter's WebAssembly module, and bundles the entry points
 * that must be fast.
 *
 *     node dist/bin/build.js [--instrumentation-filter GLOBS]
 *
 * The engine is bundled twice: plain, and instrumented for kcov in dist/bundle/kcov/ with the map of its program
 * counters. The filter says which sources are instrumented: globs with commas between them, as `vfs/**,mm/mmap.ts`.
 *
 * Rollup keeps a module-level `const` a `const` (esbuild makes it a `var`, which V8 does not fold: field
 * accessors measured 1.15x raw typed-array access as `const`, 2.4x as `var`). `CHECKED` becomes false.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type OutputOptions, type Plugin, rollup } from 'rollup';
import { generate_interpreter } from '../engine/platform/interp/generate.ts';
import { COMMANDS } from '../harness/cmd/registry.ts';
import { bake_tables } from './bake_tables.ts';
import { with_kcov, without_kcov } from './kcov_plugin.ts';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Benchmarks: entry points below dist/, and what each bundle is called in dist/bundle/. */
const BENCHMARKS: readonly (readonly [entry: string, bundle: string])[] = [
  ['bench/heap.js', 'bench_heap'],
  ['bench/interp.js', 'bench_interp'],
];

/** Sets the checked build's switch. */
function checked(value: boolean): Plugin {
  return {
    name: 'checked',
    transform(code, id) {
      if (!id.endsWith(join('engine', 'base', 'assert.js'))) return null;
      const replaced = code.replace(/export const CHECKED = [^;]+;/, `export const CHECKED = ${value};`);
      if (replaced === code) throw new Error('bin/build.ts: engine/base/assert.ts no longer declares CHECKED');
      return { code: replaced, map: null };
    },
  };
}

/** The generator is needed only where there is no generated module: it stays outside the bundle. */
const without_generator: Plugin = {
  name: 'without_generator',
  resolveId(source) {
    if (!source.endsWith('/interp/generate.js')) return null;
    return { id: '../engine/platform/interp/generate.js', external: true };
  },
};

const engine_folder = join(dist, 'engine') + sep;
const harness_folder = join(dist, 'harness') + sep;

/**
 * The engine, its command line and the vCPU job: small entries over one file with everything in it, since V8 folds
 * a constant only inside its own module. They are CommonJS because only a script can be loaded with V8's code
 * cache, which takes the 50 ms away that each thread would spend compiling it (`load.cjs`).
 */
const ENGINE_ENTRIES = {
  engine: 'engine/index.js',
  vcpu: 'engine/sentry/vcpu_job.js',
  sampler: 'engine/sentry/sampler_job.js',
  cli: 'bin/cli.js',
  harness_cli: 'bin/tvisor_harness.js',
  harness: 'harness/index.js',
  fuzz_worker: 'harness/fuzz/worker_job.js',
  executor: 'harness/exec/machine_executor.js',
  bench_programs: 'bench/programs.js',
  bench_campaign: 'bench/campaign.js',
};

/**
 * Loads machine.cjs through the code cache that the build left, or without it where V8 does not accept it. Translated
 * code says which of its branches are rare, which V8 heeds of itself from Node 26 on; settings come before the cache,
 * which is good for those only that it was made under.
 */
const LOADER = `'use strict';
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
if (Number(process.versions.v8.split('.')[0]) < 14)
  require('node:v8').setFlagsFromString('--experimental-wasm-branch-hinting');
const { Script } = require('node:vm');
const file = join(__dirname, 'machine.cjs');
const text = '(function (exports, require, module, __filename, __dirname) {' + readFileSync(file, 'utf8') + '\\n})';
let cachedData;
try {
  cachedData = readFileSync(join(__dirname, 'machine.cache'));
} catch {}
const script = new Script(text, { filename: file, cachedData });
const loaded = { exports: {} };
script.runInThisContext()(loaded.exports, require, loaded, file, __dirname);
module.exports = loaded.exports;
module.exports.code_cache = () => script.createCachedData();
`;

/**
 * Makes the code cache. It holds the functions that have run, so a small program runs first, where the host has one:
 * that spares a start 20 ms of compiling. Whatever goes wrong, the engine works without.
 */
const WARM_UP = `
const { Machine, code_cache } = require('./load.cjs');
async function run() {
  const machine = await Machine.create({ vcpus: 0, memory: 256 << 20, platform: 'jit' });
  await machine.run(['sh', '-c', 'echo x | cat; ls -l / > /dev/null; i=0; while test $i -lt 4000; do i=$((i+1)); done'], { stdin: 'x', timeout: 20000 });
  await machine.close();
}
const save = () => require('node:fs').writeFileSync('machine.cache', code_cache());
run().catch(() => {}).then(save).then(() => process.exit(0));
`;

/** The library's entry for ECMAScript modules. */
const LIBRARY = `import { createRequire } from 'node:module';
export const { Machine, TvisorError } = createRequire(import.meta.url)('./engine.cjs');
`;

const HARNESS_LIBRARY = `import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
const instrumented = existsSync(new URL('./kcov/harness.cjs', import.meta.url));
const harness = createRequire(import.meta.url)(instrumented ? './kcov/harness.cjs' : './harness.cjs');
export const { fuzz, replay, minimize, HarnessError } = harness;
`;

const COMMAND = `#!/usr/bin/env node
'use strict';
require('./cli.cjs').run();
`;

/**
 * Starts the harness: in the instrumented build, which reports coverage, except for the commands that need none.
 */
const HARNESS_COMMAND = `#!/usr/bin/env node
'use strict';
const { existsSync } = require('node:fs');
const { join } = require('node:path');
const PLAIN = ${JSON.stringify(COMMANDS.filter(({ instrumented }) => !instrumented).map(({ name }) => name))};
const instrumented = join(__dirname, 'kcov', 'harness_cli.cjs');
const plain = PLAIN.includes(process.argv[2]) || !existsSync(instrumented);
require(plain ? './harness_cli.cjs' : instrumented).run();
`;

/** A module's chunk: the engine is one, what the entries of the harness share another. */
function chunk_of(id: string): string | undefined {
  if (id.startsWith(engine_folder)) return 'machine';
  return id.startsWith(harness_folder) ? 'harness_parts' : undefined;
}

/** A set of bundles: where it goes below dist/bundle, and what is done to the modules. */
interface Variant {
  readonly folder: string;
  /** Entry points below dist, and what each bundle is called. */
  readonly entries: Readonly<Record<string, string>>;
  readonly plugins: readonly Plugin[];
  /** Leave out what is not used: a third of the time that a bundle takes. */
  readonly shake: boolean;
}

async function roll(
  input: Readonly<Record<string, string>>,
  plugins: readonly Plugin[],
  output: OutputOptions,
  treeshake = true,
): Promise<void> {
  const names = Object.values(input).join(', ');
  const build = await rollup({
    input: Object.fromEntries(Object.entries(input).map(([name, entry]) => [name, join(dist, entry)])),
    plugins: [...plugins],
    treeshake,
    // Packages and Node's own modules stay imports.
    external: (id) => !id.startsWith('.') && !id.startsWith('/') && !/^[A-Za-z]:/.test(id) && !id.startsWith('\0'),
    onwarn: (warning) => {
      // Parts of the kernel that know each other: they only fill tables at load.
      if (warning.code === 'CIRCULAR_DEPENDENCY') return;
      throw new Error(`bundling ${names}: ${warning.message}`);
    },
  });
  await build.write({ dir: join(dist, 'bundle'), sourcemap: false, ...output });
  await build.close();
}

/**
 * Throws where the engine's chunk exports a variable that changes: Rollup makes every access within the engine one
 * through `exports`, and for the views of a machine's memory that is each access to a record.
 */
function check_exports(file: string): void {
  const counts = new Map<string, number>();
  for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(/(?<![.\w])exports\.(\w+)/g))
    counts.set(name, (counts.get(name) ?? 0) + 1);
  const changing = [...counts].filter(([, count]) => count > 1).map(([name]) => name);
  if (changing.length > 0) throw new Error(`${file}: ${changing.join(', ')}: export a function that reads it instead`);
}

/** One variant of the engine, and its code cache for this version of Node. */
async function bundle_engine({ folder, entries, plugins, shake }: Variant): Promise<void> {
  const dir = join(dist, 'bundle', folder);
  const output: OutputOptions = {
    dir,
    format: 'cjs',
    dynamicImportInCjs: false,
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name].cjs',
    manualChunks: chunk_of,
  };
  await roll(entries, plugins, output, shake);
  check_exports(join(dir, 'machine.cjs'));
  for (const name of [...Object.keys(entries), 'harness_parts']) {
    const entry = join(dir, `${name}.cjs`);
    writeFileSync(entry, readFileSync(entry, 'utf8').replace("require('./machine.cjs')", "require('./load.cjs')"));
  }
  writeFileSync(join(dir, 'load.cjs'), LOADER);
  rmSync(join(dir, 'machine.cache'), { force: true });
  spawnSync(process.execPath, ['-e', WARM_UP], { cwd: dir, stdio: 'ignore', timeout: 60_000 });
}

/** The engine as programs and tests use it. */
async function bundle_plain(): Promise<void> {
  const plugins = [checked(false), without_kcov, bake_tables, without_generator];
  await bundle_engine({ folder: '.', entries: ENGINE_ENTRIES, plugins, shake: true });
  const folder = join(dist, 'bundle');
  writeFileSync(join(folder, 'engine.js'), LIBRARY);
  writeFileSync(join(folder, 'harness.js'), HARNESS_LIBRARY);
  for (const [name, text] of [
    ['tvisor.cjs', COMMAND],
    ['tvisor-harness.cjs', HARNESS_COMMAND],
  ] as const) {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o755);
  }
}

/** The engine instrumented for kcov, with the assertions and the lock order checker (ARCHITECTURE.md says why). */
async function bundle_instrumented(): Promise<void> {
  const plugins = [checked(true), kcov.plugin, bake_tables, without_generator];
  await bundle_engine({ folder: 'kcov', entries: ENGINE_ENTRIES, plugins, shake: false });
  kcov.write_map(join(dist, 'bundle', 'kcov', 'kcov.map.json'));
}

const { values: options } = parseArgs({ options: { 'instrumentation-filter': { type: 'string', default: '' } } });
// A filter that is none is told before anything is built.
const kcov = with_kcov(dist, options['instrumentation-filter']);
const interpreter = generate_interpreter().bytes;
mkdirSync(join(dist, 'bundle'), { recursive: true });
writeFileSync(join(dist, 'engine', 'platform', 'interp', 'interp.wasm'), interpreter);
writeFileSync(join(dist, 'bundle', 'interp.wasm'), interpreter);
await bundle_plain();
await bundle_instrumented();
for (const [entry, name] of BENCHMARKS)
  if (existsSync(join(dist, entry)))
    await roll({ [name]: entry }, [checked(false), without_kcov, bake_tables], {
      format: 'es',
      entryFileNames: '[name].js',
    });
