/**
 * A WebAssembly module under construction: types, imports, functions, one table, exports, custom sections.
 * Source of the encoding: WebAssembly core specification 2.0, section 5.5.
 *
 * Imports come first, then functions are declared (so that they can call each other) and defined later. Late functions
 * may be declared before: their indices are known once all imports are.
 */
import { assert } from '../base/assert.ts';
import { Bytes } from './bytes.ts';
import { Code, type FunctionRef, finish_late_call, type LateCall, TYPE_BYTE } from './code.ts';
import type { ValueType } from './opcodes.ts';

export interface FunctionType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** A function of the module's own. */
interface OwnFunction {
  readonly type: number;
  readonly name: string;
  readonly late: boolean;
  body: Uint8Array | null;
  unlikely: readonly number[];
  late_calls: readonly LateCall[];
}

const EXPORT_FUNCTION = 0;
const EXPORT_TABLE = 1;

export class ModuleBuilder {
  private readonly types: FunctionType[] = [];
  private readonly type_index = new Map<string, number>();
  private readonly imports = new Bytes();
  private import_count = 0;
  private imported_functions = 0;
  private imported_globals = 0;
  private readonly functions: OwnFunction[] = [];
  private readonly exports = new Bytes();
  private export_count = 0;
  private table: { elements: FunctionRef[]; size: number } | null = null;
  private readonly customs: { name: string; content: Uint8Array }[] = [];

  /** Index of a function type; equal types share one. */
  type(params: readonly ValueType[], results: readonly ValueType[]): number {
    const key = `${params.join(',')}:${results.join(',')}`;
    let index = this.type_index.get(key);
    if (index === undefined) {
      index = this.types.length;
      this.types.push({ params, results });
      this.type_index.set(key, index);
    }
    return index;
  }

  type_at(index: number): FunctionType {
    return this.types[index] as FunctionType;
  }

  /** Imports a function; all imports precede the first declaration of one that is not late. */
  import_function(module: string, name: string, params: readonly ValueType[], results: readonly ValueType[]) {
    assert(
      this.functions.every(({ late }) => late),
      'imports come before functions',
    );
    const type = this.type(params, results);
    this.imports.name(module).name(name).u8(0).u32(type);
    this.import_count++;
    return { index: this.imported_functions++, name, type };
  }

  /** Imports a shared memory of up to `maximum` 64 KiB pages. */
  import_memory(module: string, name: string, maximum: number): void {
    this.imports.name(module).name(name).u8(2).u8(3).u32(1).u32(maximum);
    this.import_count++;
  }

  /** Imports a variable; its index. */
  import_global(module: string, name: string, type: ValueType): number {
    this.imports.name(module).name(name).u8(3).u8(TYPE_BYTE[type]).u8(1);
    this.import_count++;
    return this.imported_globals++;
  }

  /** Declares a function; its body comes with `define`. */
  declare(name: string, params: readonly ValueType[], results: readonly ValueType[]): FunctionRef {
    const type = this.type(params, results);
    this.functions.push({ type, name, late: false, body: null, unlikely: [], late_calls: [] });
    return { index: this.imported_functions + this.functions.length - 1, name, type };
  }

  /** Declares a function that imports may follow. Whoever asks for its index before the last of them gets another one. */
  declare_late(name: string, params: readonly ValueType[], results: readonly ValueType[]): FunctionRef {
    const type = this.type(params, results);
    const number = this.functions.length;
    this.functions.push({ type, name, late: true, body: null, unlikely: [], late_calls: [] });
    const imports = (): number => this.imported_functions;
    return {
      get index() {
        return imports() + number;
      },
      name,
      type,
      late: true,
    };
  }

  /** A body builder for a declared function. */
  code(target: FunctionRef): Code {
    return new Code(this.type_at(target.type).params);
  }

  define(target: FunctionRef, code: Code): void {
    this.define_bytes(target, code.finish());
    this.slot(target).unlikely = code.unlikely_branches;
    this.slot(target).late_calls = code.late_calls;
  }

  private slot(target: FunctionRef) {
    return this.functions[target.index - this.imported_functions]!;
  }

  /** Defines a function by an already encoded body. */
  define_bytes(target: FunctionRef, body: Uint8Array): void {
    const slot = this.functions[target.index - this.imported_functions];
    assert(slot !== undefined && slot.body === null, `${target.name} is defined once`);
    slot.body = body;
  }

  /** The module's one table of functions, filled from element 0. */
  set_table(elements: FunctionRef[], size = elements.length): void {
    this.table = { elements, size };
  }

  export_function(name: string, target: FunctionRef): void {
    this.exports.name(name).u8(EXPORT_FUNCTION).u32(target.index);
    this.export_count++;
  }

  export_table(name: string): void {
    this.exports.name(name).u8(EXPORT_TABLE).u32(0);
    this.export_count++;
  }

  custom(name: string, content: Uint8Array): void {
    this.customs.push({ name, content });
  }

  private type_section(): Bytes {
    const out = new Bytes().u32(this.types.length);
    for (const type of this.types) {
      out.u8(0x60).u32(type.params.length);
      for (const param of type.params) out.u8(TYPE_BYTE[param]);
      out.u32(type.results.length);
      for (const result of type.results) out.u8(TYPE_BYTE[result]);
    }
    return out;
  }

  private element_section(elements: readonly FunctionRef[]): Bytes {
    const out = new Bytes().u32(1).u8(0).u8(0x41).s32(0).u8(0x0b).u32(elements.length);
    for (const element of elements) out.u32(element.index);
    return out;
  }

  /** The names of functions, for profiles and stack traces. */
  private name_section(): Bytes {
    const names = new Bytes().u32(this.functions.length);
    this.functions.forEach((item, i) => {
      names.u32(this.imported_functions + i).name(item.name);
    });
    return new Bytes().name('name').u8(1).sized(names);
  }

  /**
   * Which branches are rarely taken: the engine lays out and allocates registers for the other way. Source of the
   * encoding: the branch hinting proposal of WebAssembly.
   */
  private hint_section(): Bytes | null {
    const hinted = this.functions.filter((item) => item.unlikely.length > 0);
    if (hinted.length === 0) return null;
    const out = new Bytes().name('metadata.code.branch_hint').u32(hinted.length);
    for (const item of hinted) {
      out.u32(this.imported_functions + this.functions.indexOf(item)).u32(item.unlikely.length);
      for (const offset of item.unlikely) out.u32(offset).u32(1).u8(0);
    }
    return out;
  }

  /** The module's bytes. Every declared function must be defined. */
  build(): Uint8Array {
    const out = new Bytes().raw(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
    const section = (id: number, content: Bytes): void => {
      out.u8(id).sized(content);
    };
    section(1, this.type_section());
    if (this.import_count > 0) section(2, new Bytes().u32(this.import_count).raw(this.imports.bytes()));
    const declarations = new Bytes().u32(this.functions.length);
    const bodies = new Bytes().u32(this.functions.length);
    for (const item of this.functions) {
      assert(item.body !== null, `${item.name} is declared but not defined`);
      for (const call of item.late_calls) finish_late_call(item.body, call);
      declarations.u32(item.type);
      bodies.u32(item.body.length).raw(item.body);
    }
    section(3, declarations);
    if (this.table !== null) section(4, new Bytes().u32(1).u8(0x70).u8(0).u32(this.table.size));
    section(7, new Bytes().u32(this.export_count).raw(this.exports.bytes()));
    if (this.table !== null) section(9, this.element_section(this.table.elements));
    const hints = this.hint_section();
    if (hints !== null) section(0, hints);
    section(10, bodies);
    for (const { name, content } of this.customs) section(0, new Bytes().name(name).raw(content));
    section(0, this.name_section());
    return out.bytes().slice();
  }
}
