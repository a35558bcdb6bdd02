/**
 * WebAssembly modules as text: what `ModuleBuilder` writes, read back for people. Instructions are one a line, indented
 * by their nesting, with names of functions from imports and the name section. Source of the encoding: WebAssembly core
 * specification 2.0, section 5.
 */
import { all_wasm_ops, type WasmOp } from './opcodes.ts';

const TYPES: Readonly<Record<number, string>> = {
  127: 'i32',
  126: 'i64',
  125: 'f32',
  124: 'f64',
  123: 'v128',
  112: 'funcref',
};

/** Instructions without operands on the stack's types, that `opcodes.ts` does not have. */
const PLAIN: Readonly<Record<number, string>> = { 0: 'unreachable', 1: 'nop', 15: 'return', 26: 'drop', 27: 'select' };
const VARIABLES: Readonly<Record<number, string>> = {
  32: 'local.get',
  33: 'local.set',
  34: 'local.tee',
  35: 'global.get',
  36: 'global.set',
};

let by_code: Map<number, WasmOp> | null = null;

function op_of(prefix: number, code: number): WasmOp | undefined {
  by_code ??= new Map(all_wasm_ops().map((op) => [op.prefix * 65536 + op.code, op]));
  return by_code.get(prefix * 65536 + code);
}

/** Reads the binary format; throws where the bytes are none of ours. */
class Reader {
  readonly bytes: Uint8Array;
  at: number;
  private readonly view: DataView;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new Error('the module ends too early');
    return byte;
  }

  /** Signed LEB128 of up to 64 bits. */
  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return (byte & 0x40) === 0 ? value : value - (1n << (shift + 7n));
    }
  }

  /** Unsigned LEB128 of up to 32 bits. */
  u32(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if ((byte & 0x80) === 0) return value;
    }
  }

  name(): string {
    const length = this.u32();
    this.at += length;
    return new TextDecoder().decode(this.bytes.slice(this.at - length, this.at));
  }

  f32(): number {
    this.at += 4;
    return this.view.getFloat32(this.at - 4, true);
  }

  f64(): number {
    this.at += 8;
    return this.view.getFloat64(this.at - 8, true);
  }

  list<T>(item: () => T): T[] {
    return Array.from({ length: this.u32() }, item);
  }

  type(): string {
    const byte = this.u8();
    const name = TYPES[byte];
    if (name === undefined) throw new Error(`type 0x${byte.toString(16)} is not known`);
    return name;
  }
}

interface Signature {
  readonly params: readonly string[];
  readonly results: readonly string[];
}

/** What a module has, in index order; imported functions first. */
interface Contents {
  readonly types: Signature[];
  readonly imports: string[];
  readonly functions: { name: string; type: number }[];
  readonly globals: string[];
  readonly bodies: Uint8Array[];
  imported: number;
}

function limits(r: Reader): string {
  const flags = r.u8();
  const minimum = r.u32();
  return `${minimum}${(flags & 1) !== 0 ? ` ${r.u32()}` : ''}${(flags & 2) !== 0 ? ' shared' : ''}`;
}

function read_import(r: Reader, contents: Contents): void {
  const module = r.name();
  const name = r.name();
  const where = `(import "${module}" "${name}"`;
  const kind = r.u8();
  if (kind === 0) {
    const type = r.u32();
    contents.functions.push({ name, type });
    contents.imported++;
    contents.imports.push(`${where} (func $${name}${signature_text(contents.types[type] as Signature)}))`);
  } else if (kind === 1) contents.imports.push(`${where} (table ${r.type() === 'funcref' ? limits(r) : ''} funcref))`);
  else if (kind === 2) contents.imports.push(`${where} (memory ${limits(r)}))`);
  else {
    const type = r.type();
    contents.globals.push(name);
    contents.imports.push(`${where} (global $${name} ${r.u8() === 1 ? `(mut ${type})` : type}))`);
  }
}

/** Function names of the name section, over those of imports. */
function read_names(r: Reader, end: number, contents: Contents): void {
  while (r.at < end) {
    const kind = r.u8();
    const length = r.u32();
    const next = r.at + length;
    if (kind === 1)
      r.list(() => {
        const item = contents.functions[r.u32()];
        const name = r.name();
        if (item !== undefined) item.name = name;
      });
    r.at = next;
  }
}

function read_module(bytes: Uint8Array): Contents {
  const r = new Reader(bytes, 8);
  const contents: Contents = { types: [], imports: [], functions: [], globals: [], bodies: [], imported: 0 };
  while (r.at < bytes.length) {
    const id = r.u8();
    const length = r.u32();
    const end = r.at + length;
    if (id === 1)
      contents.types.push(
        ...r.list(() => {
          r.u8();
          return { params: r.list(() => r.type()), results: r.list(() => r.type()) };
        }),
      );
    else if (id === 2) r.list(() => read_import(r, contents));
    else if (id === 3) for (const type of r.list(() => r.u32())) contents.functions.push({ name: '', type });
    else if (id === 10)
      r.list(() => {
        const size = r.u32();
        contents.bodies.push(bytes.subarray(r.at, r.at + size));
        r.at += size;
      });
    else if (id === 0 && r.name() === 'name') read_names(r, end, contents);
    r.at = end;
  }
  return contents;
}

function signature_text({ params, results }: Signature): string {
  const list = (word: string, types: readonly string[]): string =>
    types.length === 0 ? '' : ` (${word} ${types.join(' ')})`;
  return list('param', params) + list('result', results);
}

/** A function body on its way to text. */
class Body {
  private readonly r: Reader;
  private readonly contents: Contents;
  private readonly names: ReadonlyMap<number, string>;
  private readonly lines: string[] = [];
  private depth = 1;

  constructor(body: Uint8Array, contents: Contents, names: ReadonlyMap<number, string>) {
    this.r = new Reader(body);
    this.contents = contents;
    this.names = names;
  }

  text(params: number): string[] {
    const { r } = this;
    const types = r.list(() => Array.from({ length: r.u32() }, () => '').fill(r.type())).flat();
    if (types.length > 0) this.line(`(local ${types.map((type, i) => this.declaration(params + i, type)).join(' ')})`);
    while (this.depth > 0) this.instruction();
    return this.lines;
  }

  private declaration(index: number, type: string): string {
    const name = this.names.get(index);
    return name === undefined ? type : `$${name}:${type}`;
  }

  private line(text: string): void {
    this.lines.push('  '.repeat(Math.max(this.depth, 0)) + text);
  }

  private variable(code: number): string {
    const index = this.r.u32();
    const name = code < 35 ? this.names.get(index) : this.contents.globals[index];
    return `${VARIABLES[code]} ${name === undefined ? index : `$${name}`}`;
  }

  private opens(word: string): void {
    const type = this.r.u8();
    this.line(type === 64 ? word : `${word} (result ${TYPES[type]})`);
    this.depth++;
  }

  private function_name(): string {
    const index = this.r.u32();
    return `$${this.contents.functions[index]?.name || index}`;
  }

  /** Type and table of an indirect call. */
  private indirect(): string {
    const type = this.contents.types[this.r.u32()] as Signature;
    this.r.u32();
    return signature_text(type);
  }

  private instruction(): void {
    const { r } = this;
    const code = r.u8();
    if (code === 2 || code === 3 || code === 4) this.opens(['block', 'loop', 'if'][code - 2] as string);
    else if (code === 5 || code === 11) {
      this.depth--;
      // The end of the body is that of the function.
      if (this.depth > 0) this.line(code === 5 ? 'else' : 'end');
      if (code === 5) this.depth++;
    } else this.line(this.simple(code));
  }

  /** An instruction that opens and closes nothing. */
  private simple(code: number): string {
    const { r } = this;
    if (PLAIN[code] !== undefined) return PLAIN[code];
    if (VARIABLES[code] !== undefined) return this.variable(code);
    if (code === 0x0c) return `br ${r.u32()}`;
    if (code === 0x0d) return `br_if ${r.u32()}`;
    if (code === 0x0e) return `br_table ${[...r.list(() => r.u32()), r.u32()].join(' ')}`;
    if (code === 0x10) return `call ${this.function_name()}`;
    if (code === 0x11) return `call_indirect${this.indirect()}`;
    if (code === 0x12) return `return_call ${this.function_name()}`;
    if (code === 0x13) return `return_call_indirect${this.indirect()}`;
    if (code === 0x1c) return `select (result ${r.list(() => r.type()).join(' ')})`;
    if (code === 0x41) return `i32.const ${r.signed()}`;
    if (code === 0x42) return `i64.const ${long(r.signed())}`;
    if (code === 0x43) return `f32.const ${r.f32()}`;
    if (code === 0x44) return `f64.const ${r.f64()}`;
    return code >= 0xfc ? this.operation(code, r.u32()) : this.operation(0, code);
  }

  private operation(prefix: number, code: number): string {
    const { r } = this;
    if (prefix === 0xfd && code === 12) return `v128.const i8x16 ${Array.from({ length: 16 }, () => r.u8()).join(' ')}`;
    if (prefix === 0xfe && code === 3) {
      r.u8();
      return 'atomic.fence';
    }
    const op = op_of(prefix, code);
    if (op === undefined) throw new Error(`opcode ${prefix.toString(16)} ${code.toString(16)} is not known`);
    if (op.name === 'memory.copy') r.at += 2;
    else if (op.name === 'memory.fill') r.at += 1;
    else if (op.immediate === 'memory') {
      r.u32();
      const offset = r.u32();
      return offset === 0 ? op.name : `${op.name} offset=${offset}`;
    } else if (op.immediate === 'lane') return `${op.name} ${r.u8()}`;
    else if (op.immediate === 'lanes') return `${op.name} ${Array.from({ length: 16 }, () => r.u8()).join(' ')}`;
    return op.name;
  }
}

/** Large numbers are addresses or masks. */
function long(value: bigint): string {
  return value > 0xffffn ? `0x${value.toString(16)}` : String(value);
}

/** How a module is shown. */
export interface TextOptions {
  /** Leaves the imports out. */
  readonly bodies_only?: boolean;
  /** Names of locals and parameters, by index. */
  readonly locals?: ReadonlyMap<number, string>;
}

/** A module's text, lines ended by newlines. Throws for what `ModuleBuilder` never writes. */
export function module_text(bytes: Uint8Array, options: TextOptions = {}): string {
  const contents = read_module(bytes);
  const names = options.locals ?? new Map<number, string>();
  const lines = options.bodies_only === true ? [] : [...contents.imports];
  for (const [i, body] of contents.bodies.entries()) {
    const { name, type } = contents.functions[contents.imported + i] as { name: string; type: number };
    const signature = contents.types[type] as Signature;
    lines.push(`(func $${name}${signature_text(signature)}`);
    lines.push(...new Body(body, contents, names).text(signature.params.length), ')');
  }
  return `${lines.join('\n')}\n`;
}
