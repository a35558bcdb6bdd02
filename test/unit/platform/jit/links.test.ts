/** Ways out of a region with many targets, and targets that are no longer what they were. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Vcpu } from '../../../../engine/machine/vcpu.layout.ts';
import { EXIT_SYSCALL } from '../../../../engine/platform/platform.ts';
import { CODE, DATA, GuestCode, hex } from '../../../support/guest_code.ts';

const HOT = { heat: 50, eager: false };
const ROUNDS = 12_000;
const FUNCTIONS = CODE + 64;

/** Where function `i` is: `add rax, n; ret`. */
function place(i: number): number {
  return FUNCTIONS + i * 16;
}

/** A program that calls `count` functions in turns through a table. */
function program(count: number): GuestCode {
  const g = new GuestCode(1, HOT);
  // L: mov rdx, [rdi + rbx*8]; call rdx; inc ebx; cmp ebx, count; jne M; xor ebx, ebx; M: dec ecx; jnz L; syscall
  const last = count.toString(16).padStart(2, '0');
  g.load(hex(`488b14df ffd2 ffc3 83fb${last} 7502 31db ffc9 75ed 0f05`));
  for (let i = 0; i < count; i++) {
    g.write(place(i), [0x48, 0x83, 0xc0, i + 1, 0xc3]);
    g.write_u64(DATA + i * 8, BigInt(place(i)));
  }
  return g;
}

/** What rax is after the program's rounds, and how often translated code was left meanwhile. */
function run(g: GuestCode): { sum: bigint; exits: number } {
  const exits = (): bigint => Vcpu.region_enters.get_big(g.vcpu) + Vcpu.region_jumps.get_big(g.vcpu);
  g.set('rax', 0n);
  g.set('rbx', 0n);
  g.set('rcx', BigInt(ROUNDS));
  g.set('rdi', BigInt(DATA));
  const before = exits();
  assert.is(g.run(CODE), EXIT_SYSCALL);
  return { sum: g.get('rax'), exits: Number(exits() - before) };
}

for (const count of [1, 3, 8, 12])
  test(`${count} targets`, () => {
    const g = program(count);
    const sum = BigInt((ROUNDS / count) * ((count * (count + 1)) / 2));
    assert.is(run(g).sum, sum);
    const again = run(g);
    assert.is(again.sum, sum);
    assert.ok(again.exits < 100, `${again.exits} ways out`);
  });

test('a target whose code changes', () => {
  const g = program(3);
  run(g);
  g.write(place(1) + 3, [100]);
  g.code_changed(place(1));
  assert.is(run(g).sum, BigInt((ROUNDS / 3) * (1 + 100 + 3)));
});

test('a target in a page that is mapped elsewhere', () => {
  const g = program(3);
  const far = CODE + 4096;
  g.write(far, [0x48, 0x83, 0xc0, 50, 0xc3]);
  g.write_u64(DATA + 8, BigInt(far));
  assert.is(run(g).sum, BigInt((ROUNDS / 3) * (1 + 50 + 3)));
  const other = g.frame();
  g.map(far, 1, g.pte(far) & 0xfff, other);
  g.write(far, [0x48, 0x83, 0xc0, 60, 0xc3]);
  g.flush_tlb();
  g.platform.flush_translations(g.vcpu);
  assert.is(run(g).sum, BigInt((ROUNDS / 3) * (1 + 60 + 3)));
});

test.run();
