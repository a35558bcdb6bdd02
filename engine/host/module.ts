/** The interpreter's WebAssembly module: read from the build's output, generated where there is none. */
import { existsSync, readFileSync } from 'node:fs';

let compiled: WebAssembly.Module | null = null;

/** Where the build left the module: beside the plain bundle, of which others are subfolders; else beside its own code. */
function module_url(): URL {
  const places = ['./interp.wasm', '../interp.wasm', '../platform/interp/interp.wasm'];
  const urls = places.map((place) => new URL(place, import.meta.url));
  return urls.find((url) => existsSync(url)) ?? (urls.at(-1) as URL);
}

/**
 * The compiled module, once for each process. In place: V8 checks it now and compiles each function when it is first
 * called, which takes 6 ms; in the background it takes 20 to 40, for which a machine's first program would wait.
 */
export async function interpreter_module(): Promise<WebAssembly.Module> {
  compiled ??= new WebAssembly.Module(await interpreter_bytes());
  return compiled;
}

async function interpreter_bytes(): Promise<Uint8Array<ArrayBuffer>> {
  const url = module_url();
  if (existsSync(url)) return new Uint8Array(readFileSync(url));
  const { generate_interpreter } = await import('../platform/interp/generate.ts');
  return new Uint8Array(generate_interpreter().bytes);
}
