import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Prng } from '../../../../engine/base/prng.ts';
import { CpuState } from '../../../../engine/machine/cpu.layout.ts';
import { Vcpu } from '../../../../engine/machine/vcpu.layout.ts';
import { EXIT_FUEL, EXIT_SYSCALL } from '../../../../engine/platform/platform.ts';
import { ALL, DATA, GuestCode, hex } from '../../../support/guest_code.ts';

const PAGE = 0x50_0000;
const SEED = 20;

/**
 * A program over two pages with calls, an instruction across their boundary, a repeated store and a store into its own
 * code: mov ebx, 200; L: call f; mov ecx, 300; mov rdi, DATA + 64; rep stosb; dec ebx; jnz L; syscall. f ends the first
 * page and goes on in the second.
 */
function program(): GuestCode {
  const g = new GuestCode();
  g.map(PAGE, 2, ALL);
  g.write(PAGE, hex('bbc8000000 e8e60f0000 b92c010000 48c7c740006000 f3aa ffcb 75e9 0f05'));
  // f at 0xff0: add eax, ebx; xor [rsi], rax; nop * 5; mov edx, imm32 over the boundary; inc edx; mov [rip - 6], edx; ret
  g.write(PAGE + 0xff0, hex('01d8 483106 909090909090909090 ba05000000 ffc2 8915f4ffffff c3'));
  g.set('rsi', BigInt(DATA));
  g.set('rax', 1n);
  return g;
}

function end_state(g: GuestCode): unknown[] {
  const registers = ['rax', 'rbx', 'rcx', 'rdx', 'rsp', 'rdi'].map((name) => g.get(name));
  return [g.rip, registers, g.read(DATA, 400), g.read(PAGE + 0xff0, 40), CpuState.flags_result.get_big(g.cpu)];
}

test('slices of any length and dropped caches change nothing', () => {
  const whole = program();
  assert.is(whole.run(PAGE), EXIT_SYSCALL);
  const retired = CpuState.retired.get(whole.cpu);
  const expected = end_state(whole);
  assert.is(whole.get('rdx'), 205n);
  const prng = new Prng(SEED);
  const g = program();
  let rip = PAGE;
  for (let slices = 0; ; slices++) {
    assert.ok(slices < 100_000, `no end; seed ${SEED}`);
    const reason = g.run(rip, 1 + prng.below(40));
    if (reason === EXIT_SYSCALL) break;
    assert.is(reason, EXIT_FUEL);
    assert.ok(Vcpu.fuel.get(g.vcpu) <= 0);
    rip = g.rip;
    if (prng.one_in(3)) g.platform.drop_caches(g.vcpu);
    if (prng.one_in(3)) g.platform.flush_translations(g.vcpu);
    if (prng.one_in(3)) g.flush_tlb();
  }
  assert.equal(end_state(g), expected, `seed ${SEED}`);
  assert.is(CpuState.retired.get(g.cpu), retired);
});

test('the arena may fill up', () => {
  const g = new GuestCode();
  // 48 pages of jumps, each in a frame seen at many addresses: jmp +0xffb to the same place of the next page
  const pages = 48;
  const frame = g.frame();
  const base = 0x7000_0000;
  const last = base + pages * 4096;
  g.map(base, pages, ALL, frame);
  g.map(last, 1, ALL);
  // test al, 1; jz +2; inc ecx; dec edx; jmp next page, behind 1000 instructions that are decoded but jumped over
  const code = hex('a801 7400 ffc1');
  for (let i = 0; i < 250; i++) code.push(0x7e, 0x00);
  const jump = code.length;
  code.push(0xe9, ...[0, 1, 2, 3].map((byte) => ((4096 - jump - 5) >> (8 * byte)) & 0xff));
  g.write(base, code);
  g.write(last, hex('0f05'));
  for (let round = 0; round < 6; round++) {
    g.set('rcx', 0n);
    g.platform.flush_translations(g.vcpu);
    assert.is(g.run(base), EXIT_SYSCALL);
    for (let i = 0; i < 4; i++) {
      // New views of the same frame take new room in the arena.
      const at = base + 0x10_0000 * (1 + round * 4 + i);
      g.map(at, pages, ALL, frame);
      g.map(at + pages * 4096, 1, ALL);
      g.write(at + pages * 4096, hex('0f05'));
      g.set('rcx', 0n);
      assert.is(g.run(at), EXIT_SYSCALL);
      assert.is(g.rip, at + pages * 4096 + 2);
    }
  }
});

test.run();
