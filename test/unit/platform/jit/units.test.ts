/** Regions as units: what they do, and what they are when code or its place changes. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FrameAddr } from '../../../../engine/base/types.ts';
import { Vcpu } from '../../../../engine/machine/vcpu.layout.ts';
import type { JitOptions } from '../../../../engine/platform/jit/region_cache.ts';
import { EXIT_FUEL, EXIT_SYSCALL } from '../../../../engine/platform/platform.ts';
import { CODE, DATA, EXECUTE, GuestCode, hex } from '../../../support/guest_code.ts';

const HOT = { heat: 50, eager: false, units: { period: 7, samples: 40, cost: 0, refusals: 100 } };
const ROUNDS = 12_000;
/** Functions lie in pages of their own, behind those that are mapped anyway. */
const FUNCTIONS = CODE + 0x10_0000;
const COUNT = 6;
const TURN = (COUNT * (COUNT + 1)) / 2;

function place(i: number): number {
  return FUNCTIONS + i * 4096;
}

/** A program that calls `COUNT` functions in turns through a table; each adds a number. */
function program(jit: JitOptions | null = HOT): GuestCode {
  const g = new GuestCode(1, jit);
  // L: mov rdx, [rdi + rbx*8]; call rdx; inc ebx; cmp ebx, count; jne M; xor ebx, ebx; M: dec ecx; jnz L; syscall
  g.load(hex(`488b14df ffd2 ffc3 83fb0${COUNT} 7502 31db ffc9 75ed 0f05`));
  g.map(FUNCTIONS, COUNT, EXECUTE);
  for (let i = 0; i < COUNT; i++) {
    // add rax, n; ret
    g.write(place(i), [0x48, 0x83, 0xc0, i + 1, 0xc3]);
    g.write_u64(DATA + i * 8, BigInt(place(i)));
  }
  return g;
}

function begin(g: GuestCode): void {
  g.set('rax', 0n);
  g.set('rbx', 0n);
  g.set('rcx', BigInt(ROUNDS));
  g.set('rdi', BigInt(DATA));
}

function run(g: GuestCode): bigint {
  begin(g);
  assert.is(g.run(CODE), EXIT_SYSCALL);
  return g.get('rax');
}

const SUM = BigInt((ROUNDS / COUNT) * TURN);

/** A program whose regions have become a unit. */
function united(): GuestCode {
  const g = program();
  for (let i = 0; i < 3; i++) assert.is(run(g), SUM);
  assert.ok(Vcpu.units_made.get(g.vcpu) > 0, 'there is a unit');
  assert.is(g.platform.statistics(g.vcpu).units_live, 1);
  return g;
}

/** How many ways from region to region are seen from outside while `body` runs. */
function ways(g: GuestCode, body: () => void): number {
  const before = Vcpu.chain_countdown.get(g.vcpu);
  Vcpu.chain_countdown.set(g.vcpu, 1 << 30);
  body();
  const seen = (1 << 30) - Vcpu.chain_countdown.get(g.vcpu);
  Vcpu.chain_countdown.set(g.vcpu, before);
  return seen;
}

test('between its regions nobody looks at links', () => {
  const g = united();
  assert.ok(ways(g, () => assert.is(run(g), SUM)) < 20);
});

/** Where it is when the fuel is gone, and its registers. */
function state_after(g: GuestCode, fuel: number): string {
  begin(g);
  assert.is(g.run(CODE, fuel), EXIT_FUEL);
  return [g.rip, ...['rax', 'rbx', 'rcx', 'rdx', 'rsp'].map((name) => g.get(name))].join(' ');
}

test('fuel ends it at the same instruction as the interpreter', () => {
  const fuels = Array.from({ length: 40 }, (_, i) => 1000 + i);
  const g = united();
  const found = fuels.map((fuel) => state_after(g, fuel));
  assert.is(g.platform.statistics(g.vcpu).units_live, 1);
  const plain = program(null);
  assert.equal(
    found,
    fuels.map((fuel) => state_after(plain, fuel)),
  );
});

test('a region whose code changes', () => {
  const g = united();
  g.write(place(1) + 3, [100]);
  g.code_changed(place(1));
  assert.is(g.platform.statistics(g.vcpu).units_live, 0);
  const changed = BigInt((ROUNDS / COUNT) * (TURN - 2 + 100));
  for (let i = 0; i < 4; i++) assert.is(run(g), changed);
  assert.is(g.platform.statistics(g.vcpu).units_live, 1);
});

test('a page of it that is mapped elsewhere', () => {
  const g = united();
  const page = g.at(place(1)) as FrameAddr;
  const other = g.frame();
  g.map(place(1), 1, g.pte(place(1)) & 0xfff, other);
  g.write(place(1), [0x48, 0x83, 0xc0, 60, 0xc3]);
  g.flush_tlb();
  g.platform.flush_translations(g.vcpu);
  const changed = BigInt((ROUNDS / COUNT) * (TURN - 2 + 60));
  assert.is(run(g), changed);
  g.map(place(1), 1, g.pte(place(1)) & 0xfff, page);
  g.flush_tlb();
  g.platform.flush_translations(g.vcpu);
  assert.is(run(g), SUM);
  g.map(place(1), 1, g.pte(place(1)) & 0xfff, other);
  g.flush_tlb();
  g.platform.flush_translations(g.vcpu);
  // So often that it is given up.
  for (let i = 0; i < 40; i++) assert.is(run(g), changed);
});

test('all caches dropped', () => {
  const g = united();
  g.platform.drop_caches(g.vcpu);
  const { units_live, regions_live, region_bytes_live } = g.platform.statistics(g.vcpu);
  assert.equal([units_live, regions_live, region_bytes_live], [0, 0, 0]);
  for (let i = 0; i < 3; i++) assert.is(run(g), SUM);
});

test.run();
