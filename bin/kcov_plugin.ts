/** The bundler's side of kcov: plugins that leave it out of the plain bundle, or instrument the other one. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { Plugin } from 'rollup';
import { instrument_module } from '../engine/kcov/instrument.ts';
import { type FilePlaces, write_map } from '../engine/kcov/map.ts';
import { assign_slots } from '../engine/kcov/numbering.ts';
import { is_kernel_source, source_filter } from '../engine/kcov/selection.ts';

/** Sets the build constant KCOV. */
function with_constant(code: string, value: boolean): string {
  const replaced = code.replace(/export const KCOV = [^;]+;/, `export const KCOV = ${value};`);
  if (replaced === code) throw new Error('bin/kcov_plugin.ts: engine/base/instrumented.ts no longer declares KCOV');
  return replaced;
}

const CONSTANT_MODULE = join('engine', 'base', 'instrumented.js');
/** Modules that only the instrumented build needs. */
const OWN_MODULES = /[/\\]engine[/\\](kernel[/\\]kcov\w*(\.layout)?|fs[/\\]sys[/\\]debugfs)\.js$/;

/** Leaves kcov out: its constant is false, and its modules do nothing by being loaded. */
export const without_kcov: Plugin = {
  name: 'without_kcov',
  transform(code, id) {
    if (id.endsWith(CONSTANT_MODULE)) return { code: with_constant(code, false), map: null };
    return OWN_MODULES.test(id) ? { code, map: null, moduleSideEffects: false } : null;
  },
};

/** The TypeScript file of an emitted module, from the repository's root with slashes. */
function source_path(dist: string, id: string): string {
  return relative(dist, id).split(sep).join('/').replace(/\.js$/, '.ts');
}

/** Every emitted module of the engine, whether it is bundled or not, so that numbers do not depend on entries. */
function engine_modules(dist: string): string[] {
  return readdirSync(join(dist, 'engine'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .map((name) => source_path(dist, join(dist, 'engine', name)));
}

/** Instruments the kernel's modules that `filter` (a list of globs, '' for all) selects. */
export function with_kcov(dist: string, filter: string): { plugin: Plugin; write_map: (file: string) => void } {
  const slots = assign_slots(engine_modules(dist));
  const selected = source_filter(filter);
  const files: FilePlaces[] = [];
  const trace_module = join(dist, 'engine', 'kernel', 'kcov_trace.js');
  const plugin: Plugin = {
    name: 'with_kcov',
    transform(code, id) {
      if (id.endsWith(CONSTANT_MODULE)) return { code: with_constant(code, true), map: null };
      const path = source_path(dist, id);
      if (!is_kernel_source(path) || !selected(path)) return null;
      const slot = slots.get(path) as number;
      const map = readFileSync(`${id}.map`, 'utf8');
      const done = instrument_module({ path, code, map, program: this.parse(code), trace_module }, slot);
      files.push({ path, slot, blocks: done.blocks, comparisons: done.comparisons });
      return { code: done.code, map: null };
    },
  };
  return { plugin, write_map: (file) => writeFileSync(file, write_map(files)) };
}
