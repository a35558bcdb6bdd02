import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ExecInstruction, type ExecValue, exec_decode } from '../../../../harness/prog/exec_decode.ts';
import { exec_encode } from '../../../../harness/prog/exec_encode.ts';
import { NO_SLOT } from '../../../../harness/prog/exec_format.ts';
import { DATA_BASE, DATA_SIZE } from '../../../../harness/prog/model.ts';
import { each_seed, program, random_program } from '../../../support/programs.ts';

function show_value(value: ExecValue): string {
  if (value.kind === 'const') return `0x${value.value.toString(16)}`;
  if (value.kind === 'data') return Buffer.from(value.bytes).toString('hex');
  const arithmetic = value.divide === 0n && value.add === 0n ? '' : `/${value.divide}+${value.add}`;
  return `slot${value.slot}${arithmetic}:${value.size}|0x${value.value.toString(16)}`;
}

function show(step: ExecInstruction): string {
  if (step.kind === 'copy_in') return `${(step.address - DATA_BASE).toString(16)} = ${show_value(step.value)}`;
  if (step.kind === 'copy_out') return `slot${step.slot} = ${(step.address - DATA_BASE).toString(16)}:${step.size}`;
  const slot = step.slot === NO_SLOT ? '' : `slot${step.slot} = `;
  const properties = `${step.is_async ? ' async' : ''}${step.fail_nth > 0 ? ` fail ${step.fail_nth}` : ''}`;
  return `${slot}call ${step.number}(${step.args.map(show_value).join(', ')})${properties}`;
}

function encoded(...lines: string[]): string[] {
  return exec_decode(exec_encode(program(...lines))).instructions.map(show);
}

test('arguments, memory and results become instructions in order', () => {
  assert.equal(
    encoded("r0 = openat(0xffffffffffffff9c, &(0x7f0000000040)='./f0\\x00', 0x42, 0x1ff)", 'close(r0) (async)'),
    [
      '40 = 2e2f663000',
      'slot0 = call 257(0xffffffffffffff9c, 0x20000040, 0x42, 0x1ff)',
      'call 3(slot0:8|0xffffffffffffffff) async',
    ],
  );
  assert.equal(
    encoded(
      'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)',
      'dup2(r1, r0/2+1) (fail_nth: 7)',
    ),
    [
      'call 293(0x20000000, 0x0)',
      'slot0 = 0:4',
      'slot1 = 4:4',
      'call 33(slot1:8|0xffffffffffffffff, slot0/2+1:8|0xffffffffffffffff) fail 7',
    ],
  );
});

test('a struct is one block, padding included, with results filled in behind it', () => {
  assert.equal(encoded('r0 = eventfd2(0x0, 0x0)', 'poll(&(0x7f0000000000)=[{r0, 0x1}, {0x5, 0x4}], 0x2, 0x0)'), [
    'slot0 = call 290(0x0, 0x0)',
    '0 = 00000000010000000500000004000000',
    '0 = slot0:4|0xffffffffffffffff',
    'call 7(0x20000000, 0x2, 0x0)',
  ]);
  assert.equal(encoded('fcntl$F_SETLK(0x1, 0x6, &(0x7f0000000000)={0x1, 0x0, 0x2, 0x3, 0x4})'), [
    '0 = 0100000000000000020000000000000003000000000000000400000000000000',
    'call 72(0x1, 0x6, 0x20000000)',
  ]);
});

test('what only the kernel writes is not copied in; pages and null are addresses', () => {
  assert.equal(
    encoded(
      'read(0x0, &(0x7f0000000000)=""/8, 0x8)',
      'munmap(&(0x7f0000001000/0x2000)=nil, 0x2000)',
      'nanosleep(0x0, 0x0)',
    ),
    ['call 0(0x0, 0x20000000, 0x8)', 'call 11(0x20001000, 0x2000)', 'call 35(0x0, 0x0)'],
  );
});

test('squashed memory keeps results and pointers', () => {
  assert.equal(
    encoded(
      'r0 = getpid()',
      'clone3(&(0x7f0000000000)=ANY=[@ANYBLOB="0011", @ANYRES32=r0, @ANYPTR=&(0x7f0000000040)=ANY=[@ANYBLOB="f2"]], 0x58)',
    ),
    [
      'slot0 = call 39()',
      '0 = 0011000000004000002000000000',
      '2 = slot0:4|0x0',
      '40 = f2',
      'call 435(0x20000000, 0x58)',
    ],
  );
});

test('numbers of a process differ between processes', () => {
  const made = program('shmget(0x1, 0x1000, 0x0)');
  const key = (process: number): string => show(exec_decode(exec_encode(made, { process })).instructions[0]!);
  assert.is(key(0), 'call 29(0x7101, 0x1000, 0x0)');
  assert.is(key(2), 'call 29(0x7109, 0x1000, 0x0)');
});

test('generated programs encode; memory stays inside, slots are made before they are used', () => {
  each_seed(500, (random) => {
    const made = random_program(random, 10);
    const { calls, slots, instructions } = exec_decode(exec_encode(made));
    assert.is(calls, made.calls.length);
    const known = new Set<number>();
    const check = (value: ExecValue): void => {
      if (value.kind === 'result') assert.ok(known.has(value.slot), `slot ${value.slot}`);
    };
    for (const step of instructions) {
      if (step.kind === 'call') {
        step.args.forEach(check);
        if (step.slot !== NO_SLOT) known.add(step.slot);
        continue;
      }
      assert.ok(step.address >= DATA_BASE && step.address < DATA_BASE + DATA_SIZE);
      if (step.kind === 'copy_out') known.add(step.slot);
      else check(step.value);
    }
    assert.is(known.size, slots);
  });
});

test('words that are not a program are refused', () => {
  const words = exec_encode(program('getpid()'));
  assert.throws(() => exec_decode(words.subarray(1)), /not an encoded program/);
  assert.throws(() => exec_decode(words.subarray(0, words.length - 1)), /cut off/);
  assert.throws(() => exec_decode(Uint32Array.of(...words, 0)), /behind the end/);
});

test.run();
