/**
 * Comparing and copying machine memory, generated as WebAssembly: 128 bytes in each round of vector operations, which
 * is several times what a loop over typed arrays does. Addresses and lengths are multiples of BLOCK.
 */
import type { Code } from '../wasm/code.ts';
import { ModuleBuilder } from '../wasm/module.ts';

/** Bytes of one round; what differs anywhere in a block is copied as a whole. */
export const BLOCK = 128;
/** A piece: target, source, length, and the address of a word that says, by not being zero, that it may differ. */
export const PIECE_WORDS = 4;
const VECTOR = 16;
const MAX_WASM_PAGES = 65536;

/** Functions over one machine's memory. Addresses may lie above 2 GiB: pass them as they are. */
export interface Comparer {
  /** Copies the blocks of [source, source + length) that differ from `target` there; the number of 4 KiB pages changed. */
  restore(target: number, source: number, length: number): number;
  /** The same for a list of `count` pieces in machine memory, in order (PIECE_WORDS). */
  restore_pieces(pieces: number, count: number): number;
  /** Offset of the first block that differs, -1 where there is none. */
  difference(a: number, b: number, length: number): number;
  /** Offset of the first block that is not zero, -1 where there is none. */
  nonzero(at: number, length: number): number;
  /** Zeroes [at, at + length). */
  zero(at: number, length: number): void;
}

/** Leaves the OR of `vectors` results of `vector` on the stack. */
function fold(c: Code, vector: (offset: number) => void): void {
  for (let offset = 0; offset < BLOCK; offset += VECTOR) {
    vector(offset);
    if (offset > 0) c.op('v128.or');
  }
}

/** Leaves a vector on the stack that is zero where the blocks at the locals `a` and `b` are equal. */
function block_difference(c: Code, a: number, b: number): void {
  fold(c, (offset) => {
    c.get(a).op('v128.load', offset).get(b).op('v128.load', offset).op('v128.xor');
  });
}

/** Locals of a loop that copies what differs: addresses, bytes left, pages changed so far, the last of them. */
interface CopyLocals {
  readonly target: number;
  readonly source: number;
  readonly left: number;
  readonly pages: number;
  readonly last_page: number;
  readonly page: number;
}

function copy_loop(c: Code, { target, source, left, pages, last_page, page }: CopyLocals): void {
  const done = c.block();
  const next = c.loop();
  c.get(left).op('i32.eqz').br_if(done);
  block_difference(c, target, source);
  c.op('v128.any_true').open_if();
  for (let offset = 0; offset < BLOCK; offset += VECTOR)
    c.get(target).get(source).op('v128.load', offset).op('v128.store', offset);
  c.get(target).i32(12).op('i32.shr_u').tee(page).get(last_page).op('i32.ne').open_if();
  c.get(page).set(last_page).get(pages).i32(1).op('i32.add').set(pages).end();
  c.end();
  for (const local of [target, source]) c.get(local).i32(BLOCK).op('i32.add').set(local);
  c.get(left).i32(BLOCK).op('i32.sub').set(left);
  c.br(next).end().end();
}

/** restore(target, source, length): pages changed. */
function define_restore(m: ModuleBuilder): void {
  const f = m.declare('restore', ['i32', 'i32', 'i32'], ['i32']);
  const c = m.code(f);
  const [target, source, left] = [0, 1, 2];
  const pages = c.local('i32');
  const last_page = c.local('i32');
  const page = c.local('i32');
  c.i32(-1).set(last_page);
  copy_loop(c, { target, source, left, pages, last_page, page });
  c.get(pages);
  m.define(f, c);
  m.export_function('restore', f);
}

/** restore_pieces(pieces, count): pages changed. */
function define_restore_pieces(m: ModuleBuilder): void {
  const f = m.declare('restore_pieces', ['i32', 'i32'], ['i32']);
  const c = m.code(f);
  const [piece, count] = [0, 1];
  const [target, source, left] = [c.local('i32'), c.local('i32'), c.local('i32')];
  const [pages, last_page, page] = [c.local('i32'), c.local('i32'), c.local('i32')];
  c.i32(-1).set(last_page);
  const done = c.block();
  const next = c.loop();
  c.get(count).op('i32.eqz').br_if(done);
  c.get(piece).op('i32.load', 12).op('i32.load', 0).open_if();
  c.get(piece).op('i32.load', 0).set(target);
  c.get(piece).op('i32.load', 4).set(source);
  c.get(piece).op('i32.load', 8).set(left);
  copy_loop(c, { target, source, left, pages, last_page, page });
  c.end();
  c.get(piece)
    .i32(PIECE_WORDS * 4)
    .op('i32.add')
    .set(piece);
  c.get(count).i32(1).op('i32.sub').set(count);
  c.br(next).end().end().get(pages);
  m.define(f, c);
  m.export_function('restore_pieces', f);
}

/** A search for the first block at which `vector` gives anything but zero: its offset or -1. */
function define_search(m: ModuleBuilder, name: string, addresses: number): void {
  const f = m.declare(name, new Array<'i32'>(addresses + 1).fill('i32'), ['i32']);
  const c = m.code(f);
  const length = addresses;
  const offset = c.local('i32');
  const done = c.block();
  const next = c.loop();
  c.get(offset).get(length).op('i32.ge_u').br_if(done);
  if (addresses === 2) block_difference(c, 0, 1);
  else fold(c, (at) => c.get(0).op('v128.load', at));
  c.op('v128.any_true').open_if().get(offset).return().end();
  for (let local = 0; local < addresses; local++) c.get(local).i32(BLOCK).op('i32.add').set(local);
  c.get(offset).i32(BLOCK).op('i32.add').set(offset);
  c.br(next).end().end().i32(-1);
  m.define(f, c);
  m.export_function(name, f);
}

function define_zero(m: ModuleBuilder): void {
  const f = m.declare('zero', ['i32', 'i32'], []);
  const c = m.code(f);
  c.get(0).i32(0).get(1).op('memory.fill');
  m.define(f, c);
  m.export_function('zero', f);
}

let compiled: WebAssembly.Module | null = null;

/** The functions for a machine's memory. */
export function create_comparer(memory: WebAssembly.Memory): Comparer {
  if (compiled === null) {
    const m = new ModuleBuilder();
    m.import_memory('env', 'memory', MAX_WASM_PAGES);
    define_restore(m);
    define_restore_pieces(m);
    define_search(m, 'difference', 2);
    define_search(m, 'nonzero', 1);
    define_zero(m);
    compiled = new WebAssembly.Module(m.build());
  }
  return new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Comparer;
}
