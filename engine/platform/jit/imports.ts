/**
 * The functions that a region's module imports: those that it calls, as its code is written. V8 compiles a wrapper for
 * each type among them before it knows what they are, which took longer than the code of most regions.
 */
import type { FunctionRef } from '../../wasm/code.ts';
import type { ModuleBuilder } from '../../wasm/module.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import { HELPERS } from '../../x86/helpers.ts';
import type { Routine } from '../../x86/ir.ts';
import { RUNTIME } from '../interp/runtime.ts';

export class Imports {
  private readonly m: ModuleBuilder;
  private readonly known = new Map<string, FunctionRef>();

  constructor(m: ModuleBuilder) {
    this.m = m;
  }

  /** A function of the runtime (interp/runtime.ts). */
  runtime(name: string): FunctionRef {
    const signature = RUNTIME[name];
    if (signature === undefined) throw new Error(`the interpreter's module has no ${name} for regions`);
    return this.import('runtime', name, ...signature);
  }

  /** A routine of the semantics, which the interpreter's module exports. */
  routine({ name, params, result }: Routine): FunctionRef {
    return this.import('runtime', name, ['i32', ...params], result === null ? [] : [result]);
  }

  /** A helper in JavaScript. */
  helper(name: string): FunctionRef {
    const helper = HELPERS[name];
    if (helper === undefined) throw new Error(`no helper is called ${name}`);
    return this.import('helpers', name, ['i32', ...helper.params], helper.result === null ? [] : [helper.result]);
  }

  private import(
    module: string,
    name: string,
    params: readonly ValueType[],
    results: readonly ValueType[],
  ): FunctionRef {
    let f = this.known.get(name);
    if (f === undefined) {
      f = this.m.import_function(module, name, params, results);
      this.known.set(name, f);
    }
    return f;
  }
}
