/** Repeated string instructions in regions: every end of a slice, fault and overlap is as in the interpreter. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CpuState } from '../../../../engine/machine/cpu.layout.ts';
import { Vcpu } from '../../../../engine/machine/vcpu.layout.ts';
import { EXIT_FAULT, EXIT_FUEL, EXIT_SYSCALL } from '../../../../engine/platform/platform.ts';
import { CODE, DATA, GuestCode, hex } from '../../../support/guest_code.ts';
import { describe_state } from '../../../support/guest_state.ts';

const PAGE = 4096;
const PAGES = 8;
const EAGER = { heat: 1, eager: true };
const ALL_PAGES = Array.from({ length: PAGES }, (_, i) => DATA + i * PAGE);

interface Case {
  /** The instruction, with its prefixes. */
  readonly code: string;
  readonly registers: Readonly<Record<string, number>>;
  /** A page that is not there. */
  readonly hole?: number;
  readonly down?: boolean;
}

/** A loop of one pass: mov rax, rax; THE INSTRUCTION; lea rbx, [rbx+1]; dec rdx; jnz to the beginning; syscall. */
function machine({ code, registers, hole, down }: Case, translated: boolean): GuestCode {
  const g = new GuestCode(PAGES, translated ? EAGER : null);
  const body = [...hex('4889c0'), ...hex(code), ...hex('488d5b01 48ffca')];
  g.load([...body, 0x75, 256 - body.length - 2, ...hex('0f05')]);
  g.write(
    DATA,
    Array.from({ length: PAGES * PAGE }, (_, i) => (i * 7 + (i >> 8)) & 0xff),
  );
  if (hole !== undefined) g.unmap(hole);
  g.set('rdx', 1n);
  for (const [name, value] of Object.entries(registers)) g.set(name, BigInt(value));
  CpuState.df.set(g.cpu, down === true ? 1 : 0);
  return g;
}

/** The states at every exit up to the system call or a fault. */
function states(of: Case, translated: boolean, fuel: number): string[] {
  const g = machine(of, translated);
  const pages = ALL_PAGES.filter((page) => page !== of.hole);
  const seen: string[] = [];
  for (let rip = CODE; ; rip = g.rip) {
    const reason = g.run(rip, fuel);
    seen.push(describe_state(g, reason, pages));
    if (reason !== EXIT_FUEL) return seen;
  }
}

const MOVS: Readonly<Record<string, string>> = { movsb: 'f3a4', movsw: 'f366a5', movsd: 'f3a5', movsq: 'f348a5' };
const STOS: Readonly<Record<string, string>> = { stosb: 'f3aa', stosw: 'f366ab', stosd: 'f3ab', stosq: 'f348ab' };
const SIZES = [1, 2, 4, 8];

function same(name: string, of: Case): void {
  for (const fuel of [2, 1000])
    assert.equal(states(of, true, fuel), states(of, false, fuel), `${name} with slices of ${fuel}`);
}

for (const [i, [name, code]] of Object.entries(MOVS).entries()) {
  const size = SIZES[i] as number;
  const most = Math.floor((3 * PAGE) / size);
  test(`rep ${name}`, () => {
    for (const [from, to, count] of [
      [0, 4 * PAGE, 0],
      [5, 4 * PAGE + 3, most],
      [PAGE - 1, 4 * PAGE, most],
      [0, size, most],
      [3, 4, 40],
      [4 * PAGE + 1, 4 * PAGE, most],
      [17, PAGE + 17, most],
    ] as const)
      same(name, { code, registers: { rsi: DATA + from, rdi: DATA + to, rcx: count } });
  });

  test(`rep ${name} into and out of a hole, and downwards`, () => {
    const hole = DATA + 3 * PAGE;
    same(name, { code, registers: { rsi: DATA + PAGE + 9, rdi: DATA + 4 * PAGE, rcx: most }, hole });
    same(name, { code, registers: { rsi: DATA + 4 * PAGE, rdi: DATA + PAGE + 9, rcx: most }, hole });
    same(name, { code, registers: { rsi: DATA + 4 * PAGE, rdi: DATA + 4 * PAGE + 11, rcx: most }, hole, down: true });
    same(name, { code, registers: { rsi: DATA + 6 * PAGE, rdi: DATA + 6 * PAGE - 5, rcx: most }, down: true });
  });
}

for (const [i, [name, code]] of Object.entries(STOS).entries())
  test(`rep ${name}`, () => {
    const rcx = Math.floor((3 * PAGE) / (SIZES[i] as number));
    for (const rax of [0, 0x4142_4344])
      for (const hole of [undefined, DATA + 4 * PAGE]) {
        const rdi = DATA + 2 * PAGE + 5;
        same(
          name,
          hole === undefined ? { code, registers: { rax, rdi, rcx } } : { code, registers: { rax, rdi, rcx }, hole },
        );
      }
  });

test('what compares ends with its flags, by count or by what it finds', () => {
  for (const code of ['f3a6', 'f2a6', 'f348a7', 'f3ae', 'f2ae', 'f366af', 'f3ac', 'f348ad'])
    for (const [from, to] of [
      [0, PAGE],
      [PAGE, PAGE],
      [100, 2 * PAGE - 100],
    ] as const)
      same(code, { code, registers: { rax: 0x41, rsi: DATA + from, rdi: DATA + to, rcx: 1500 } });
});

test('a piece that comes to a page which the TLB lacks ends where it would have', () => {
  // mov rcx, r8; mov r8, r9: the first round knows the first pages, the second goes on to others.
  const round = '4c89c1 4d89c8';
  for (const code of ['f266a5', 'f3a4', 'f3aa', 'f348ad', 'f3a6', 'f2ae'])
    for (const down of [false, true])
      for (const start of [40, 1000, 2049]) {
        const place = (page: number): number => DATA + page * PAGE + (down ? start : PAGE - start);
        const registers = { rax: 0x1234, rsi: place(2), rdi: place(5), rdx: 2, r8: 8, r9: 3000 };
        same(`${code} ${start}`, { code: round + code, registers, down });
      }
});

test('with 32-bit addresses upper halves go before a fault', () => {
  const hole = DATA + PAGE;
  for (const code of ['67f3a4', '67f3aa', '67f3a6'])
    for (const rdi of [DATA + PAGE - 20, DATA + PAGE])
      same(code, { code, registers: { rsi: DATA + 2 ** 40, rdi: rdi + 2 ** 36, rcx: 2 ** 33 + 50 }, hole });
});

test('a region is not left for repeated instructions, however often it comes to them', () => {
  const rounds = 500;
  const g = machine({ code: 'f3a4', registers: { rsi: DATA, rdi: DATA + 4 * PAGE, rcx: 0, rdx: rounds } }, true);
  // mov ecx, 100; rep movsb; sub rsi, 100; sub rdi, 100; dec rdx; jnz; syscall
  const body = [...hex('b964000000 f3a4 4883ee64 4883ef64 48ffca')];
  g.load([...body, 0x75, 256 - body.length - 2, ...hex('0f05')]);
  assert.is(g.run(CODE), EXIT_SYSCALL);
  assert.is(g.get('rdi'), BigInt(DATA + 4 * PAGE));
  assert.is(Number(Vcpu.region_enters.get_big(g.vcpu)), 0);
  assert.ok(Number(Vcpu.region_refusals.get_big(g.vcpu)) < 10);
});

test('an interrupt ends it between two pieces', () => {
  const of: Case = { code: 'f3a4', registers: { rsi: DATA, rdi: DATA + 4 * PAGE, rcx: 3 * PAGE } };
  const g = machine(of, true);
  let faults = 0;
  const hole = DATA + 5 * PAGE;
  const frame = g.at(hole);
  g.unmap(hole);
  g.hooks.fault = () => {
    faults++;
    g.map(hole, 1, 7, frame as never);
    Vcpu.interrupt.store(g.vcpu, 1);
    return 0;
  };
  g.run(CODE);
  assert.is(faults, 1);
  assert.is(g.rip, CODE + 3, 'at the instruction itself');
  assert.ok(g.get('rcx') > 0n && g.get('rcx') < BigInt(3 * PAGE));
  Vcpu.interrupt.store(g.vcpu, 0);
  assert.is(g.run(g.rip), EXIT_SYSCALL);
  assert.equal(g.read(DATA + 4 * PAGE, 3 * PAGE), g.read(DATA, 3 * PAGE));
});

test('a fault tells where it was', () => {
  const hole = DATA + 5 * PAGE;
  const g = machine({ code: 'f3aa', registers: { rdi: DATA + 4 * PAGE + 96, rcx: 2 * PAGE }, hole }, true);
  assert.is(g.run(CODE), EXIT_FAULT);
  assert.is(Vcpu.fault_address.get(g.vcpu), hole);
  assert.is(g.get('rdi'), BigInt(hole));
  assert.is(g.get('rcx'), BigInt(PAGE + 96));
  assert.is(g.rip, CODE + 3);
});

test.run();
