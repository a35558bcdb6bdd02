/**
 * Speed of the interpreter: guest instructions a second on small loops, and a null system call through the hooks.
 *
 *     node dist/bench/interp.js [seconds]
 */
import { CpuState } from '../engine/machine/cpu.layout.ts';
import { DATA, GuestCode, hex } from '../test/support/guest_code.ts';

const CODE = 0x40_0000;
const SLICE = 2_000_000;
const seconds = Number(process.argv[2] ?? 1);

/** CPU time of this process in nanoseconds: what others do on the machine counts less. */
function cpu_ns(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

interface Loop {
  readonly name: string;
  /** Code that loops without end, in hexadecimal. */
  readonly code: string;
}

const LOOPS: readonly Loop[] = [
  {
    // L: add rax, rcx; mov rdx, [rsi]; xor rdx, rax; add [rdi], rdx; shl rdx, 3; cmp rdx, rbx; lea r8, [rax+rdx*4+8];
    // mov [rsi+8], r8; dec rcx; jnz L; jmp L
    name: 'integer, flags and memory',
    code: '4801c8 488b16 4831c2 480117 48c1e203 4839da 4c8d449008 4c894608 48ffc9 75df ebdd',
  },
  {
    // L: add eax, 1; sub ebx, eax; cmp eax, ebx; je +0; test eax, eax; jne L; jmp L
    name: 'compare and branch',
    code: '83c001 29c3 39d8 7400 85c0 75f3 ebf1',
  },
  {
    // L: mov [rsi], rax; mov rax, [rsi+8]; mov rbx, [rsi]; mov [rsi+16], rbx; jmp L
    name: 'moves to and from memory',
    code: '488906 488b4608 488b1e 48895e10 ebf0',
  },
  {
    // L: call f; jmp L; f: push rbp; mov rbp, rsp; pop rbp; ret
    name: 'calls and returns',
    code: 'e802000000 ebf9 55 4889e5 5d c3',
  },
];

function run_loop(g: GuestCode, loop: Loop): void {
  g.load(hex(loop.code));
  g.set('rsi', BigInt(DATA));
  g.set('rdi', BigInt(DATA + 64));
  g.set('rcx', 1n << 40n);
  g.run(CODE, SLICE);
  CpuState.retired.set(g.cpu, 0);
  const start = cpu_ns();
  let elapsed = 0;
  while (elapsed < seconds * 1e9) {
    g.run(g.rip, SLICE);
    elapsed = cpu_ns() - start;
  }
  const retired = CpuState.retired.get(g.cpu);
  console.log(`${loop.name.padEnd(28)} ${((retired / elapsed) * 1000).toFixed(0).padStart(5)} M instructions/s`);
}

function run_syscalls(g: GuestCode): void {
  // L: mov eax, 39; syscall; jmp L
  g.load(hex('b827000000 0f05 ebf7'));
  let calls = 0;
  const syscall = (): number => {
    calls++;
    return 0;
  };
  g.hooks = { ...g.hooks, syscall };
  g.run(CODE, 300_000);
  calls = 0;
  const start = cpu_ns();
  g.run(CODE, 3_000_000);
  const elapsed = cpu_ns() - start;
  console.log(`${'null system call'.padEnd(28)} ${(elapsed / calls).toFixed(1).padStart(5)} ns`);
}

function run_copy(g: GuestCode): void {
  // L: mov rsi, DATA; mov rdi, DATA + 0x10000; mov ecx, 0x10000; rep movsb; jmp L
  g.load(hex('be00006000 bf00006100 b900000100 f3a4 ebed'));
  g.run(CODE, 1000);
  const repeats = 400;
  const start = cpu_ns();
  g.run(CODE, repeats * 20);
  const elapsed = cpu_ns() - start;
  console.log(`${'rep movsb of 64 KiB'.padEnd(28)} ${((repeats * 65536) / elapsed).toFixed(1).padStart(5)} GB/s`);
}

const guest = new GuestCode();
for (const loop of LOOPS) run_loop(guest, loop);
run_syscalls(guest);
run_copy(guest);
