/** What regions take in: code over page boundaries, and what returns lead to. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Vcpu } from '../../../../engine/machine/vcpu.layout.ts';
import { EXIT_SYSCALL } from '../../../../engine/platform/platform.ts';
import { CODE, GuestCode, hex } from '../../../support/guest_code.ts';

const HOT = { heat: 50, eager: false };
const ROUNDS = 10_000;

/** Instructions that regions left to the interpreter, and ways back to it. */
function exits(g: GuestCode): bigint {
  return Vcpu.region_enters.get_big(g.vcpu) + Vcpu.region_jumps.get_big(g.vcpu);
}

/** Runs code at `rip` that counts rcx down, and answers how often translated code was left meanwhile. */
function run(g: GuestCode, rip: number, rounds = ROUNDS): number {
  g.set('rcx', BigInt(rounds));
  g.set('rax', 0n);
  const before = exits(g);
  assert.is(g.run(rip), EXIT_SYSCALL);
  return Number(exits(g) - before);
}

test('an instruction over two pages is translated', () => {
  const g = new GuestCode(1, HOT);
  // L: dec ecx; lea rax, [rax+1] (its second byte is on the next page); jnz L; syscall
  const start = CODE + 4096 - 3;
  g.load(hex('ffc9 488d4001 75f8 0f05'), start);
  run(g, start);
  assert.ok(run(g, start) < 100, 'the loop stays in its region');
  assert.is(g.get('rax'), BigInt(ROUNDS));
});

test('functions that are called by pointers return to a copy of their caller', () => {
  const g = new GuestCode(1, HOT);
  // L: call rbx; dec ecx; jnz L; syscall; ...; f: inc rax; ret
  g.load(hex('ffd3 ffc9 75fa 0f05'));
  g.write(CODE + 64, hex('48ffc0 c3'));
  g.set('rbx', BigInt(CODE + 64));
  run(g, CODE);
  assert.ok(run(g, CODE) < 100, 'ways from region to region need no interpreter');
  assert.is(g.get('rax'), BigInt(ROUNDS));
});

test('a function that returns elsewhere than before does so', () => {
  const g = new GuestCode(1, HOT);
  // L: call f; dec ecx; jnz L; syscall; M: call f; dec ecx; jnz M; inc rax; syscall; ...; f: inc rax; ret
  g.load(hex('e83b000000 ffc9 75f7 0f05 e830000000 ffc9 75f7 48ffc0 0f05'));
  g.write(CODE + 64, hex('48ffc0 c3'));
  run(g, CODE);
  assert.is(g.get('rax'), BigInt(ROUNDS));
  run(g, CODE + 11);
  assert.is(g.get('rax'), BigInt(ROUNDS + 1));
  run(g, CODE);
  assert.is(g.get('rax'), BigInt(ROUNDS));
  // f: push rdx; ret: to where rdx says, past the call.
  g.write(CODE + 80, hex('52 c3'));
  g.write(CODE + 96, hex('ffd3 5f 4883c001 ffc9 75f5 0f05'));
  g.set('rbx', BigInt(CODE + 80));
  g.set('rdx', BigInt(CODE + 98));
  run(g, CODE + 96);
  assert.is(g.get('rax'), BigInt(ROUNDS));
});

test('a loop of long straight code is one region', () => {
  const g = new GuestCode(1, HOT);
  // L: 1500 times lea rax, [rax+1]; dec ecx; jnz L; syscall: more than a region's limit, and than a block's record counts.
  const body = Array.from({ length: 1500 }, () => [...hex('488d4001')]).flat();
  const back = -(body.length + 8);
  const jnz = [0x0f, 0x85, ...new Uint8Array(new Int32Array([back]).buffer)];
  g.load([...body, ...hex('ffc9'), ...jnz, ...hex('0f05')]);
  const made = Vcpu.regions_made.get(g.vcpu);
  run(g, CODE, 400);
  assert.is(Vcpu.regions_made.get(g.vcpu) - made, 1);
  assert.ok(run(g, CODE, 400) < 40, 'the loop stays in its region');
  assert.is(g.get('rax'), BigInt(400 * 1500));
});

test.run();
