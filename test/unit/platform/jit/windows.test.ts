/** Accesses that share a look into the TLB: what is seen of them is what each alone would show. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Vcpu } from '../../../../engine/machine/vcpu.layout.ts';
import { EXIT_FAULT, EXIT_SYSCALL } from '../../../../engine/platform/platform.ts';
import { CODE, DATA, GuestCode, hex, READ_ONLY, READ_WRITE, STACK_TOP } from '../../../support/guest_code.ts';

/** TVISOR_TEST_RESOLVE: TLB misses are resolved in place. */
const EAGER = { heat: 1, eager: true, ...(process.env.TVISOR_TEST_RESOLVE === '1' ? { misses: 0 } : {}) };
const PAGE = 4096;
const LAST = DATA + PAGE - 8;

/** Accesses of translated code that gave up since their window crosses a page, since the machine's boot. */
function given_up(g: GuestCode): bigint {
  return Vcpu.region_slow.get_big(g.vcpu);
}

test('a store to a page that may only be read faults at its own address, and the read before it has been done', () => {
  const g = new GuestCode(2, EAGER);
  g.map(DATA, 1, READ_ONLY);
  g.write_u64(DATA, 77n);
  g.set('rdi', BigInt(DATA));
  // mov rax, [rdi]; mov [rdi+8], rax
  assert.is(g.execute(...hex('488b07 48894708')), EXIT_FAULT);
  assert.is(g.rip, CODE + 3);
  assert.is(g.get('rax'), 77n);
  assert.is(Vcpu.fault_address.get(g.vcpu), DATA + 8);
  assert.is(Vcpu.fault_access.get(g.vcpu), 1);
});

test('of a structure over two pages each field is where it is', () => {
  const g = new GuestCode(2, EAGER);
  g.write_u64(LAST, 5n);
  g.write_u64(DATA + PAGE + 8, 6n);
  g.set('rdi', BigInt(LAST));
  // L: mov rax, [rdi]; add rax, [rdi+16]; mov [rdi+8], rax; dec ecx; jnz L
  g.set('rcx', 10_000n);
  assert.is(g.execute(...hex('488b07 48034710 48894708 ffc9 75f1')), EXIT_SYSCALL);
  assert.is(g.get('rax'), 11n);
  assert.is(g.read_u64(DATA + PAGE), 11n);
  const before = given_up(g);
  g.set('rcx', 1000n);
  assert.is(g.run(), EXIT_SYSCALL);
  assert.ok(given_up(g) - before < 10n, 'the region is made again without the window');
});

test('a field behind the end of what is mapped faults, and not the one before it', () => {
  const g = new GuestCode(1, EAGER);
  g.write_u64(LAST, 5n);
  g.set('rdi', BigInt(LAST));
  // mov rax, [rdi]; mov rbx, [rdi+8]
  assert.is(g.execute(...hex('488b07 488b5f08')), EXIT_FAULT);
  assert.is(g.rip, CODE + 3);
  assert.is(g.get('rax'), 5n);
  assert.is(Vcpu.fault_address.get(g.vcpu), DATA + PAGE);
});

test('a page that a fault elsewhere has replaced is looked up again', () => {
  const g = new GuestCode(1, EAGER);
  g.write_u64(DATA, 1n);
  const other = DATA + 0x10_0000;
  g.set('rdi', BigInt(DATA));
  g.set('rsi', BigInt(other));
  g.hooks = {
    ...g.hooks,
    fault: () => {
      g.map(other, 1, READ_WRITE);
      g.map(DATA, 1, READ_WRITE);
      g.write_u64(DATA + 8, 2n);
      g.flush_tlb();
      return 0;
    },
  };
  // mov rax, [rdi]; mov [rsi], rax; mov rbx, [rdi+8]
  assert.is(g.execute(...hex('488b07 488906 488b5f08')), EXIT_SYSCALL);
  assert.is(g.get('rax'), 1n);
  assert.is(g.get('rbx'), 2n);
  assert.is(g.read_u64(other), 1n);
});

test('a register with a new value has a window of its own', () => {
  const g = new GuestCode(4, EAGER);
  // A list of three nodes on three pages: next, value.
  for (const i of [0, 1, 2]) {
    g.write_u64(DATA + i * PAGE, i < 2 ? BigInt(DATA + (i + 1) * PAGE) : 0n);
    g.write_u64(DATA + i * PAGE + 8, BigInt(10 ** i));
  }
  g.set('rdi', BigInt(DATA));
  // L: add rax, [rdi+8]; mov rdi, [rdi]; test rdi, rdi; jnz L
  assert.is(g.execute(...hex('48034708 488b3f 4885ff 75f4')), EXIT_SYSCALL);
  assert.is(g.get('rax'), 111n);
});

test('pushes, calls and pops over the boundary of two pages of the stack', () => {
  const g = new GuestCode(1, EAGER);
  for (let rsp = STACK_TOP - PAGE - 48; rsp <= STACK_TOP - PAGE + 48; rsp += 8) {
    g.set('rsp', BigInt(rsp));
    g.set('rax', 3n);
    g.set('rbx', 4n);
    // push rax; push rbx; call f; pop rbx; pop rax; syscall; f: push rax; add rax, [rsp+16]; pop rbx; ret
    assert.is(g.execute(...hex('50 53 e804000000 5b 58 0f05 50 4803442410 5b c3')), EXIT_SYSCALL);
    assert.is(g.get('rax'), 3n);
    assert.is(g.get('rbx'), 4n);
    assert.is(g.get('rsp'), BigInt(rsp));
    assert.is(g.read_u64(rsp - 16), 4n);
  }
});

test('an access that crosses a page, and so misses the TLB each time, stays in its region in the end', () => {
  const g = new GuestCode(2, EAGER);
  g.write_u64(LAST + 4, 7n);
  g.set('rdi', BigInt(LAST + 4));
  // L: add rax, [rdi]; mov [rdi], rbx; dec ecx; jnz L
  const code = hex('480307 48891f ffc9 75f6');
  g.set('rbx', 7n);
  g.set('rcx', 20_000n);
  assert.is(g.execute(...code), EXIT_SYSCALL);
  assert.is(g.get('rax'), 140_000n);
  const before = given_up(g);
  g.set('rcx', 1000n);
  assert.is(g.run(), EXIT_SYSCALL);
  assert.is(g.get('rax'), 147_000n);
  assert.ok(given_up(g) - before < 10n, `${given_up(g) - before} times given up`);
});

test.run();
