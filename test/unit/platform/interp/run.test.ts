import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CpuState } from '../../../../engine/machine/cpu.layout.ts';
import { Vcpu } from '../../../../engine/machine/vcpu.layout.ts';
import { generate_interpreter } from '../../../../engine/platform/interp/generate.ts';
import { EXIT_EXCEPTION, EXIT_FAULT, EXIT_FUEL, EXIT_SYSCALL } from '../../../../engine/platform/platform.ts';
import { ALL, CODE, DATA, GuestCode, hex } from '../../../support/guest_code.ts';

test('the generated module is valid and the same each time', () => {
  const first = generate_interpreter();
  assert.ok(first.handlers > 500);
  assert.equal(first.bytes, generate_interpreter().bytes);
});

test('mov, add and syscall', () => {
  const g = new GuestCode();
  // mov eax, 5; add rax, rbx
  g.set('rbx', 0xffff_ffff_ffffn);
  assert.is(g.execute(...hex('b805000000 4801d8')), EXIT_SYSCALL);
  assert.is(g.get('rax'), 0x1_0000_0000_0004n);
  assert.is(g.get('rcx'), BigInt(g.rip));
  assert.is(g.rip, CODE + 10);
  assert.is(CpuState.retired.get(g.cpu), 3);
});

test('a loop with memory counts its instructions', () => {
  const g = new GuestCode();
  // mov ecx, 1000; mov esi, DATA; L: add [rsi], rcx; add rax, [rsi]; dec ecx; jnz L
  assert.is(g.execute(...hex('b9e8030000 be00006000 48010e 480306 ffc9 75f6')), EXIT_SYSCALL);
  assert.is(g.read_u64(DATA), 500500n);
  assert.is(CpuState.retired.get(g.cpu), 2 + 4000 + 1);
});

test('fuel ends a slice at the first boundary where it is not positive', () => {
  const g = new GuestCode();
  g.load(hex('ffc0 ffc0 ebfa'));
  assert.is(g.run(CODE, 10), EXIT_FUEL);
  assert.is(Vcpu.fuel.get(g.vcpu), -2);
  assert.is(CpuState.retired.get(g.cpu), 12);
  assert.is(g.get('rax'), 8n);
  assert.is(g.rip, CODE);
});

test('a fault is precise and can be resolved', () => {
  const g = new GuestCode();
  // inc eax; push [0x10000]; inc eax
  assert.is(g.execute(...hex('ffc0 ff342500000100 ffc0')), EXIT_FAULT);
  assert.is(Vcpu.fault_address.get(g.vcpu), 0x10000);
  assert.is(g.rip, CODE + 2);
  assert.is(g.get('rax'), 1n);
  assert.is(CpuState.retired.get(g.cpu), 1);
  const rsp = g.get('rsp');
  g.hooks = {
    ...g.hooks,
    fault: (address, access) => {
      assert.is(address, 0x10000);
      assert.is(access, 0);
      g.map(0x10000, 1, 1);
      return 0;
    },
  };
  assert.is(g.run(g.rip), EXIT_SYSCALL);
  assert.is(g.get('rax'), 2n);
  assert.is(g.get('rsp'), rsp - 8n);
});

test('an access over a page boundary faults before anything is written', () => {
  const g = new GuestCode(1);
  g.set('rdi', BigInt(DATA + 4092));
  g.set('rax', 0x1122_3344_5566_7788n);
  assert.is(g.execute(...hex('488907')), EXIT_FAULT);
  assert.is(Vcpu.fault_address.get(g.vcpu), DATA + 4096);
  assert.equal(g.read(DATA + 4092, 4), [0, 0, 0, 0]);
  g.map(DATA + 4096, 1, 3);
  assert.is(g.run(), EXIT_SYSCALL);
  assert.is(g.read_u64(DATA + 4092), 0x1122_3344_5566_7788n);
  assert.is(g.execute(...hex('488b1f 48011f 483b1f')), EXIT_SYSCALL);
  assert.is(g.get('rbx'), 0x1122_3344_5566_7788n);
  assert.is(g.read_u64(DATA + 4092), 0x2244_6688_aacc_ef10n);
});

test('undefined and privileged instructions are exceptions', () => {
  const g = new GuestCode();
  const vector = (code: string): number => {
    assert.is(g.execute(...hex(code)), EXIT_EXCEPTION, code);
    return Vcpu.exception.get(g.vcpu);
  };
  assert.is(vector('0f0b'), 6);
  assert.is(vector('f4'), 13);
  assert.is(vector('cc'), 3);
  assert.is(g.rip, CODE + 1);
  assert.is(vector('31c9 f7f1'), 0);
  assert.is(g.rip, CODE + 2);
  assert.is(vector('cd80'), 13);
  assert.is(vector('66666666666666666666666666666690'), 13);
});

test('calls, returns and indirect jumps', () => {
  const g = new GuestCode();
  // call +5; inc eax; syscall; nop... ; target: mov eax,10; ret
  assert.is(g.execute(...hex('e804000000 ffc0 0f05 b80a000000 c3')), EXIT_SYSCALL);
  assert.is(g.get('rax'), 11n);
});

test('a jump to nowhere faults at its target', () => {
  const g = new GuestCode();
  g.set('rax', 0x1234_5678_9000n);
  assert.is(g.execute(...hex('ffe0')), EXIT_FAULT);
  assert.is(g.rip, 0x1234_5678_9000);
  assert.is(Vcpu.fault_access.get(g.vcpu), 2);
  assert.is(CpuState.retired.get(g.cpu), 1);
});

test('code that a store changes is decoded again', () => {
  const g = new GuestCode();
  const page = 0x50_0000;
  g.map(page, 1, ALL);
  // call f; mov byte [page + 1], 7; call f; syscall; f is mov al, 3; ret
  g.write(page, hex('b003 c3'));
  g.set('rdi', BigInt(page));
  g.set('rbx', 0n);
  // call rdi; mov bl, al; mov byte [rdi+1], 7; call rdi; mov bh, al
  assert.is(g.execute(...hex('ffd7 88c3 c6470107 ffd7 88c7')), EXIT_SYSCALL);
  assert.is(g.get('rbx'), 0x0703n);
  // In the same page, the very next instruction: mov byte [rip+0], 9; mov al, 0; syscall
  g.write(page, hex('c605 01000000 09 b000 0f05'));
  g.platform.drop_caches(g.vcpu);
  assert.is(g.run(page), EXIT_SYSCALL);
  assert.is(g.get('rax') & 0xffn, 9n);
});

test('an instruction over a page boundary runs, and notices changes in both pages', () => {
  const g = new GuestCode();
  const page = 0x50_0000;
  g.map(page, 2, ALL);
  g.write(page + 4094, hex('b8 01000000 c3'));
  g.set('rdi', BigInt(page + 4094));
  g.set('rsi', BigInt(page + 4096));
  // call rdi; mov ebx, eax; mov byte [rsi], 2; call rdi
  assert.is(g.execute(...hex('ffd7 89c3 c60602 ffd7')), EXIT_SYSCALL);
  assert.is(g.get('rbx'), 1n);
  assert.is(g.get('rax'), 0x201n);
});

test('a comparison fused with its branch also works when entered between the two', () => {
  const g = new GuestCode();
  // mov eax, 5; mov ecx, 3; L: cmp eax, ecx; M: je E; inc ecx; jmp L
  // E: inc edx; cmp edx, 3; jae F; cmp eax, eax; jmp M; F: syscall
  const code = 'b805000000 b903000000 39c8 7404 ffc1 ebf8 ffc2 83fa03 7304 39c0 ebef';
  assert.is(g.execute(...hex(code)), EXIT_SYSCALL);
  assert.is(g.get('rdx'), 3n);
  assert.is(CpuState.retired.get(g.cpu), 28);
});

test('segment bases and 32-bit addresses', () => {
  const g = new GuestCode();
  CpuState.fs_base.set(g.cpu, DATA);
  CpuState.gs_base.set(g.cpu, DATA + 8);
  g.write_u64(DATA + 0x28, 0x1111n);
  g.write_u64(DATA + 0x10, 0x2222n);
  g.set('rbx', 0xffff_ffff_0000_0008n);
  g.set('rsi', 1n);
  // mov rax, fs:[0x28]; mov rcx, gs:[ebx]; mov rdx, fs:[ebx+esi*8]; lea rdi, fs:[rbx]; lea ebp, [ebx+4]
  const code = '6448 8b042528000000 6567488b0b 6467488b14f3 64488d3b 678d6b04';
  assert.is(g.execute(...hex(code)), EXIT_SYSCALL);
  assert.is(g.get('rax'), 0x1111n);
  assert.is(g.get('rdx'), 0x2222n);
  assert.is(g.get('rdi'), 0xffff_ffff_0000_0008n);
  assert.is(g.get('rbp'), 0xcn);
});

test('a repeated instruction can be interrupted and goes on', () => {
  const g = new GuestCode();
  g.set('rdi', BigInt(DATA));
  g.set('rcx', 0x8000n);
  g.set('rax', 0x55n);
  g.load(hex('f3aa 0f05'));
  assert.is(g.run(CODE, 3), EXIT_FUEL);
  assert.is(g.rip, CODE);
  assert.is(g.get('rcx'), 0x8000n - 3n * 4096n);
  assert.is(g.run(), EXIT_SYSCALL);
  assert.is(g.get('rdi'), BigInt(DATA + 0x8000));
  assert.equal(g.read(DATA + 0x7fff, 2), [0x55, 0]);
});

test('locked operations work at any alignment', () => {
  const g = new GuestCode();
  for (const offset of [0, 3, 4093]) {
    g.set('rdi', BigInt(DATA + offset));
    g.set('rbx', 5n);
    g.set('rax', 0n);
    g.write_u64(DATA + offset, 0n);
    // lock xadd [rdi], rbx; lock inc qword [rdi]; mov rax, 6; mov edx, 9; lock cmpxchg [rdi], rdx; xchg [rdi], rsi
    g.set('rsi', 77n);
    const code = 'f0480fc11f f048ff07 48c7c006000000 ba09000000 f0480fb117 488737';
    assert.is(g.execute(...hex(code)), EXIT_SYSCALL);
    assert.is(g.get('rbx'), 0n);
    assert.is(g.get('rsi'), 9n);
    assert.is(g.read_u64(DATA + offset), 77n);
  }
});

test('cpuid names a processor of level x86-64-v2 without xsave', () => {
  const g = new GuestCode();
  // mov eax, 1; xor ecx, ecx; cpuid
  assert.is(g.execute(...hex('b801000000 31c9 0fa2')), EXIT_SYSCALL);
  const ecx = g.get('rcx');
  assert.is(g.execute(...hex('b801000000 31c9 0fa2 89cb')), EXIT_SYSCALL);
  // sse3, ssse3, cx16, sse4.1, sse4.2, popcnt; neither xsave, osxsave nor avx
  const wanted = (1n << 0n) | (1n << 9n) | (1n << 13n) | (1n << 19n) | (1n << 20n) | (1n << 23n);
  assert.is(g.get('rbx') & wanted, wanted);
  assert.is(g.get('rbx') & ((1n << 26n) | (1n << 27n) | (1n << 28n)), 0n);
  assert.is(ecx, BigInt(g.rip - 2));
});

test('cpuid describes the caches of leaf 4 and nothing behind them', () => {
  const g = new GuestCode();
  const sizes = [0, 1, 2, 3].map((sub_leaf) => {
    // mov eax, 4; mov ecx, SUB_LEAF; cpuid; mov r8, rcx
    assert.is(g.execute(...hex(`b804000000 b90${sub_leaf}000000 0fa2 4989c8`)), EXIT_SYSCALL);
    const ways = (g.get('rbx') >> 22n) + 1n;
    const line = (g.get('rbx') & 0xfffn) + 1n;
    return g.get('rax') === 0n ? 0n : (ways * line * (g.get('r8') + 1n)) >> 10n;
  });
  assert.equal(sizes, [64n, 64n, 64512n, 0n]);
});

test.run();
