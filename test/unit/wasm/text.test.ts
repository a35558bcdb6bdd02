import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ModuleBuilder } from '../../../engine/wasm/module.ts';
import { all_wasm_ops } from '../../../engine/wasm/opcodes.ts';
import { module_text } from '../../../engine/wasm/text.ts';

test('every operation is read back by its name', () => {
  const m = new ModuleBuilder();
  const f = m.declare('all', [], []);
  const c = m.code(f);
  const wanted: string[] = [];
  for (const op of all_wasm_ops()) {
    if (op.immediate === 'lane') c.lanes(op, [1]);
    else if (op.immediate === 'lanes') c.lanes(op, new Array<number>(16).fill(7));
    else c.op(op, op.immediate === 'memory' ? 300 : 0);
    const lanes = op.immediate === 'lane' ? ' 1' : op.immediate === 'lanes' ? ' 7'.repeat(16) : '';
    wanted.push(`  ${op.name}${lanes}${op.immediate === 'memory' ? ' offset=300' : ''}`);
  }
  m.define(f, c);
  assert.is(module_text(m.build()), `(func $all\n${wanted.join('\n')}\n)\n`);
});

test('structure, constants, calls and variables', () => {
  const m = new ModuleBuilder();
  m.import_memory('env', 'memory', 16);
  const counter = m.import_global('env', 'counter', 'i64');
  const g = m.import_function('env', 'g', ['i32'], ['i64']);
  const f = m.declare('f', ['i32'], ['i64']);
  const c = m.code(f);
  const [x, y] = [c.local('i64'), c.local('i64')];
  const out = c.block('i64');
  const again = c.loop();
  c.get(0).if();
  c.i64(-5).i64(0x7fff_ffff_ffffn).f64(1.5).drop().drop().br(out);
  c.else();
  c.get(0).br_table([again, out]).end();
  c.end();
  c.get_global(counter).i64(-1).op('i64.add').set_global(counter);
  c.i32(-129).call(g).tee(x).set(y).get(y).end();
  m.define(f, c);
  const text = `(import "env" "memory" (memory 1 16 shared))
(import "env" "counter" (global $counter (mut i64)))
(import "env" "g" (func $g (param i32) (result i64)))
(func $f (param i32) (result i64)
  (local $x:i64 i64)
  block (result i64)
    loop
      local.get 0
      if
        i64.const -5
        i64.const 0x7fffffffffff
        f64.const 1.5
        drop
        drop
        br 2
      else
        local.get 0
        br_table 1 2
      end
    end
    global.get $counter
    i64.const -1
    i64.add
    global.set $counter
    i32.const -129
    call $g
    local.tee $x
    local.tee 2
  end
)
`;
  assert.is(module_text(m.build(), { locals: new Map([[1, 'x']]) }), text);
  assert.not.match(module_text(m.build(), { bodies_only: true }), /import/);
});

test('what is no module of ours is refused', () => {
  const bad = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 10, 6, 1, 4, 0, 0xfd, 0xff, 0x7f]);
  assert.throws(() => module_text(bad));
});

test.run();
