/** SSE arithmetic that is translated under an assumption: bits, MXCSR and faults are those of each instruction alone. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { U32 } from '../../../../engine/heap/memory.ts';
import { CpuState } from '../../../../engine/machine/cpu.layout.ts';
import { Vcpu } from '../../../../engine/machine/vcpu.layout.ts';
import { EXIT_EXCEPTION, EXIT_FAULT, EXIT_SYSCALL } from '../../../../engine/platform/platform.ts';
import { VECTOR_GP } from '../../../../engine/x86/ir.ts';
import { CODE, DATA, GuestCode, hex } from '../../../support/guest_code.ts';

const EAGER = { heat: 1, eager: true };
const MASKED = 0x1f80;
const [IE, DE, ZE, OE, UE, PE] = [1, 2, 4, 8, 16, 32] as const;
const DENORMAL = 2 ** -1060;

function view(g: GuestCode, reg: number): DataView {
  return new DataView(U32.buffer, g.cpu + CpuState.xmm.offset + reg * 16);
}

function set_double(g: GuestCode, reg: number, value: number): void {
  view(g, reg).setFloat64(0, value, true);
}

function get_double(g: GuestCode, reg: number): number {
  return view(g, reg).getFloat64(0, true);
}

/** Regions that gave up in the middle of a block. */
function given_up(g: GuestCode): bigint {
  return Vcpu.region_slow.get_big(g.vcpu);
}

const ADD = '58';
const MUL = '59';
const DIV = '5e';
const MIN = '5d';
const SQRT = '51';
const CASES: readonly (readonly [string, number, number, number, number])[] = [
  [ADD, 1, 2, 3, 0],
  [ADD, 1, 2 ** -60, 1, PE],
  [ADD, 1, DENORMAL, 1, DE | PE],
  [ADD, 2 ** -1022, -(2 ** -1022) * 1.5, -(2 ** -1023), 0],
  [ADD, Number.MAX_VALUE, Number.MAX_VALUE, Number.POSITIVE_INFINITY, OE | PE],
  [ADD, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, IE],
  [MUL, 3, 5, 15, 0],
  [MUL, 0, 5, 0, 0],
  [MUL, 0.1, 0.1, 0.1 * 0.1, PE],
  [MUL, 2 ** -600, 2 ** -600, 0, UE | PE],
  [MUL, 2 ** -511, 2 ** -511, 2 ** -1022, 0],
  [MUL, 1 + 2 ** -30, 1 + 2 ** -30, (1 + 2 ** -30) ** 2, PE],
  [MUL, 2 ** 600, 2 ** 600, Number.POSITIVE_INFINITY, OE | PE],
  [MUL, 0, Number.POSITIVE_INFINITY, Number.NaN, IE],
  [DIV, 15, 3, 5, 0],
  [DIV, 1, 3, 1 / 3, PE],
  [DIV, 0, 3, 0, 0],
  [DIV, 1, 0, Number.POSITIVE_INFINITY, ZE],
  [DIV, 1, Number.POSITIVE_INFINITY, 0, 0],
  [DIV, 2 ** -500, 2 ** 600, 0, UE | PE],
  [DIV, 2 ** -500, DENORMAL, 2 ** 560, DE],
  [MIN, 1, 2, 1, 0],
  [MIN, Number.NaN, 2, 2, IE],
  [MIN, DENORMAL, 2, DENORMAL, DE],
  [SQRT, 0, 9, 3, 0],
  [SQRT, 0, 2, Math.sqrt(2), PE],
  [SQRT, 0, -1, Number.NaN, IE],
];

test('every operation leaves what it leaves in MXCSR, alone and behind another one', () => {
  for (const known of [0, PE])
    for (const before of ['', 'f20f58d2'])
      for (const [op, a, b, result, flags] of CASES) {
        const g = new GuestCode(2, EAGER);
        CpuState.mxcsr.set(g.cpu, MASKED | known);
        set_double(g, 0, a);
        set_double(g, 1, b);
        set_double(g, 2, 1);
        // addsd xmm2, xmm2; the operation on xmm0, xmm1; addsd xmm2, xmm2
        assert.is(g.execute(...hex(`${before} f20f${op}c1 f20f58d2`)), EXIT_SYSCALL);
        const what = `${op} ${a} ${b}`;
        assert.ok(Object.is(get_double(g, 0), result === 0 ? 0 : result), `${what}: ${get_double(g, 0)}`);
        assert.is(CpuState.mxcsr.get(g.cpu), MASKED | known | flags, what);
        assert.is(get_double(g, 2), before === '' ? 2 : 4);
      }
});

test('an instruction in a run faults or raises #GP at its own place, with what is before it done', () => {
  for (const [access, at, exit, field, value] of [
    // addsd xmm1, [rdi]; addpd xmm1, [rdi], which must be aligned
    ['f20f580f', DATA + 4096, EXIT_FAULT, Vcpu.fault_address, DATA + 4096],
    ['660f580f', DATA + 8, EXIT_EXCEPTION, Vcpu.exception, VECTOR_GP],
  ] as const) {
    const g = new GuestCode(1, EAGER);
    CpuState.mxcsr.set(g.cpu, MASKED | PE);
    set_double(g, 0, 3);
    set_double(g, 1, 5);
    g.set('rdi', BigInt(at));
    // mulsd xmm0, xmm1; lea rax, [rdi+8]; ...
    assert.is(g.execute(...hex(`f20f59c1 488d4708 ${access}`)), exit);
    assert.is(g.rip, CODE + 8);
    assert.is(get_double(g, 0), 15);
    assert.is(g.get('rax'), BigInt(at + 8));
    assert.is(field.get(g.vcpu), value);
  }
});

test('a result that is written over, or divides, is looked at itself', () => {
  for (const [second, flags] of [
    // movapd xmm0, xmm1: nobody sees the infinity; divsd xmm1, xmm0: it makes a zero.
    ['660f28c1', 0],
    ['f20f5ec8', 0],
  ] as const) {
    const g = new GuestCode(1, EAGER);
    CpuState.mxcsr.set(g.cpu, MASKED | PE);
    set_double(g, 0, 2 ** 1000);
    set_double(g, 1, 2 ** 500);
    // mulsd xmm0, xmm1; ...; addsd xmm2, xmm2
    assert.is(g.execute(...hex(`f20f59c1 ${second} f20f58d2`)), EXIT_SYSCALL);
    assert.is(CpuState.mxcsr.get(g.cpu), MASKED | PE | OE | flags);
  }
});

test('a result that an operand in memory seems to name is looked at itself', () => {
  const g = new GuestCode(1, EAGER);
  CpuState.mxcsr.set(g.cpu, MASKED | PE);
  set_double(g, 0, 2 ** 1000);
  set_double(g, 1, 2 ** 500);
  g.set('rdi', BigInt(DATA));
  // mulsd xmm0, xmm1; minsd xmm3, [rdi]
  assert.is(g.execute(...hex('f20f59c1 f20f5d1f')), EXIT_SYSCALL);
  assert.is(CpuState.mxcsr.get(g.cpu), MASKED | PE | OE);
});

test('where an assumption does not hold for long, it is given up', () => {
  const g = new GuestCode(2, EAGER);
  CpuState.mxcsr.set(g.cpu, MASKED);
  set_double(g, 1, Number.NaN);
  // L: addsd xmm0, xmm1; mulsd xmm2, xmm1; dec ecx; jnz L
  g.set('rcx', 10_000n);
  assert.is(g.execute(...hex('f20f58c1 f20f59d1 ffc9 75f4')), EXIT_SYSCALL);
  const before = given_up(g);
  g.set('rcx', 1000n);
  assert.is(g.run(), EXIT_SYSCALL);
  assert.ok(given_up(g) - before < 10n, `${given_up(g) - before} times`);
});

test('once PE is set, code that was made before it goes on under the other assumption', () => {
  const g = new GuestCode(2, EAGER);
  CpuState.mxcsr.set(g.cpu, MASKED);
  set_double(g, 1, 0.1);
  // L: addsd xmm0, xmm1; dec ecx; jnz L
  g.set('rcx', 10_000n);
  assert.is(g.execute(...hex('f20f58c1 ffc9 75f8')), EXIT_SYSCALL);
  assert.is(CpuState.mxcsr.get(g.cpu), MASKED | PE);
  assert.ok(given_up(g) < 1000n, `${given_up(g)} times`);
  let sum = 0;
  for (let i = 0; i < 10_000; i++) sum += 0.1;
  assert.is(get_double(g, 0), sum);
});

test.run();
