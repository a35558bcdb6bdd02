import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Code, FunctionRef } from '../../../engine/wasm/code.ts';
import { ModuleBuilder } from '../../../engine/wasm/module.ts';
import { all_wasm_ops, type ValueType } from '../../../engine/wasm/opcodes.ts';

type Call = (...args: (number | bigint)[]) => unknown;

/** Compiles one function and gives it. */
function compile(
  params: ValueType[],
  results: ValueType[],
  build: (c: Code) => void,
  memory?: WebAssembly.Memory,
): Call {
  const m = new ModuleBuilder();
  if (memory !== undefined) m.import_memory('env', 'memory', 65536);
  const f = m.declare('f', params, results);
  const c = m.code(f);
  build(c);
  m.define(f, c);
  m.export_function('f', f);
  const env = memory === undefined ? {} : { memory };
  return new WebAssembly.Instance(new WebAssembly.Module(m.build()), { env }).exports.f as Call;
}

function push_zero(c: Code, type: ValueType): void {
  if (type === 'i32') c.i32(0);
  else if (type === 'i64') c.i64(0);
  else if (type === 'f32') c.f32(0);
  else if (type === 'f64') c.f64(0);
  else c.v128(0n);
}

test('every operation of the table validates with its declared types', () => {
  const m = new ModuleBuilder();
  m.import_memory('env', 'memory', 1);
  for (const op of all_wasm_ops()) {
    const f = m.declare(op.name, [], op.result === null ? [] : [op.result]);
    const c = m.code(f);
    for (const param of op.params) push_zero(c, param);
    if (op.immediate === 'lane') c.lanes(op, [0]);
    else if (op.immediate === 'lanes')
      c.lanes(
        op,
        Array.from({ length: 16 }, (_, i) => i),
      );
    else c.op(op);
    m.define(f, c);
  }
  m.build();
  new WebAssembly.Module(m.build());
  assert.ok(all_wasm_ops().length > 400);
});

test('late functions call each other and what is imported after them', () => {
  const m = new ModuleBuilder();
  const names = ['even', 'odd'];
  const [even, odd] = names.map((name) => m.declare_late(name, ['i32'], ['i32'])) as [FunctionRef, FunctionRef];
  const answer = m.import_function('env', 'answer', ['i32'], ['i32']);
  for (const [f, other] of [
    [even, odd],
    [odd, even],
  ] as const) {
    const c = m.code(f);
    c.get(0).op('i32.eqz').open_if().i32(names.indexOf(f.name)).call(answer).return().end();
    c.get(0).i32(1).op('i32.sub').return_call(other);
    m.define(f, c);
  }
  m.export_function('even', even);
  const env = { answer: (n: number) => n + 40 };
  const call = new WebAssembly.Instance(new WebAssembly.Module(m.build()), { env }).exports.even as Call;
  assert.is(call(1000), 40);
  assert.is(call(1001), 41);
});

test('constants of every size and sign come back', () => {
  for (const value of [0, 1, -1, 63, 64, -64, -65, 8191, -8192, 0x7fff_ffff, -0x8000_0000])
    assert.is(compile([], ['i32'], (c) => c.i32(value))(), value);
  for (const value of [0n, -1n, 0x7fff_ffffn, 0x8000_0000n, -0x8000_0001n, (1n << 63n) - 1n, -(1n << 63n), 1n << 40n])
    assert.is(compile([], ['i64'], (c) => c.i64(value))(), value);
  for (const value of [0, -1.5, 1e300]) assert.is(compile([], ['f64'], (c) => c.f64(value))(), value);
  const vector = compile([], ['i64'], (c) =>
    c.v128(0x1122_3344_5566_7788_99aan << 64n).lanes('i64x2.extract_lane', [1]),
  );
  assert.is(vector(), 0x3344_5566_7788_99aan);
});

test('loops, blocks and tables branch where their labels say', () => {
  const sum = compile(['i32'], ['i32'], (c) => {
    const total = c.local('i32');
    const out = c.block();
    const again = c.loop();
    c.get(0).op('i32.eqz').br_if(out);
    c.get(total).get(0).op('i32.add').set(total);
    c.get(0).i32(1).op('i32.sub').set(0);
    c.br(again).end().end().get(total);
  });
  assert.is(sum(100), 5050);
  const pick = compile(['i32'], ['i32'], (c) => {
    const other = c.block();
    const one = c.block();
    const zero = c.block();
    c.get(0).br_table([zero, one, other]).end();
    c.i32(10).return().end().i32(20).return().end().i32(30);
  });
  assert.equal(
    [0, 1, 2, 9].map((n) => pick(n)),
    [10, 20, 30, 30],
  );
});

test('tail calls through the table do not grow the stack', () => {
  const m = new ModuleBuilder();
  const type = m.type(['i32', 'i32'], ['i32']);
  const step = m.declare('step', ['i32', 'i32'], ['i32']);
  const done = m.declare('done', ['i32', 'i32'], ['i32']);
  const c = m.code(step);
  c.get(0).i32(1).op('i32.sub').get(1).i32(2).op('i32.add').get(0).i32(1).op('i32.eq').return_call_indirect(type);
  m.define(step, c);
  m.define(done, m.code(done).get(1));
  m.set_table([step, done]);
  m.export_function('step', step);
  const run = new WebAssembly.Instance(new WebAssembly.Module(m.build())).exports.step as Call;
  assert.is(run(1_000_000, 0), 2_000_000);
});

test('atomics and bulk memory work on a shared memory', () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const words = new BigUint64Array(memory.buffer);
  const swap = compile(['i64', 'i64'], ['i64'], (c) => c.i32(8).get(0).get(1).op('i64.atomic.rmw.cmpxchg'), memory);
  assert.is(swap(0n, 7n), 0n);
  assert.is(swap(0n, 9n), 7n);
  assert.is(words[1], 7n);
  compile(
    [],
    [],
    (c) => c.i32(64).i32(8).i32(8).op('memory.copy').i32(72).i32(0xab).i32(4).op('memory.fill'),
    memory,
  )();
  assert.is(words[8], 7n);
  assert.is(words[9], 0xababababn);
});

test('mistakes are found while building', () => {
  const m = new ModuleBuilder();
  const f = m.declare('f', [], []);
  const open = m.code(f);
  open.block();
  assert.throws(() => open.finish(), /not closed/);
  assert.throws(() => m.code(f).get(0), /not declared/);
  assert.throws(() => m.code(f).op('i32.frobnicate'), /no wasm operation/);
  assert.throws(() => m.build(), /declared but not defined/);
});

test.run();
