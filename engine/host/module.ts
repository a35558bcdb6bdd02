/** The interpreter's WebAssembly module: read from the build's output, generated where there is none. */
import { existsSync, readFileSync } from 'node:fs';

let compiled: Promise<WebAssembly.Module> | null = null;

/** Where the build left the module: beside the bundle, else beside the interpreter's own code. */
function module_url(): URL {
  const beside = new URL('./interp.wasm', import.meta.url);
  return existsSync(beside) ? beside : new URL('../platform/interp/interp.wasm', import.meta.url);
}

/** The compiled module, once for each process. */
export function interpreter_module(): Promise<WebAssembly.Module> {
  compiled ??= interpreter_bytes().then((bytes) => WebAssembly.compile(bytes));
  return compiled;
}

async function interpreter_bytes(): Promise<Uint8Array> {
  const url = module_url();
  if (existsSync(url)) return new Uint8Array(readFileSync(url));
  const { generate_interpreter } = await import('../platform/interp/generate.ts');
  return generate_interpreter().bytes;
}
