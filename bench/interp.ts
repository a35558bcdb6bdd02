/**
 * Speed of the interpreter: guest instructions a second on small loops, and a null system call through the hooks.
 *
 *     tvisor-harness bench interp
 */
import { CpuState } from '../engine/machine/cpu.layout.ts';
import { DATA, GuestCode, hex } from '../test/support/guest_code.ts';
import type { Unit } from './core/report.ts';
import { is_wanted, QUICK, report, TIME_MS } from './script.ts';

const CODE = 0x40_0000;
const SLICE = 2_000_000;
/** Each loop is measured so often, for a share of the time. */
const SAMPLES = QUICK ? 1 : 10;
const SAMPLE_NS = QUICK ? 1e6 : (TIME_MS * 1e6) / SAMPLES;

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

function tell(name: string, unit: Unit, better: 'lower' | 'higher', samples: readonly number[]): void {
  report({ suite: 'interp', name, column: 'best', unit, better, samples });
}

/** `SAMPLES` results of `sample`. */
function sampled(sample: () => number): number[] {
  return Array.from({ length: SAMPLES }, sample);
}

/** Millions of instructions a second. */
function run_loop(g: GuestCode, loop: Loop): void {
  g.load(hex(loop.code));
  g.set('rsi', BigInt(DATA));
  g.set('rdi', BigInt(DATA + 64));
  g.set('rcx', 1n << 40n);
  g.run(CODE, SLICE);
  const samples = sampled(() => {
    CpuState.retired.set(g.cpu, 0);
    const start = cpu_ns();
    let elapsed = 0;
    while (elapsed < SAMPLE_NS) {
      g.run(g.rip, SLICE);
      elapsed = cpu_ns() - start;
    }
    return (CpuState.retired.get(g.cpu) / elapsed) * 1000;
  });
  tell(loop.name, 'M/s', 'higher', samples);
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
  const samples = sampled(() => {
    calls = 0;
    const start = cpu_ns();
    g.run(CODE, 300_000);
    return (cpu_ns() - start) / calls;
  });
  tell(NULL_CALL, 'ns', 'lower', samples);
}

function run_copy(g: GuestCode): void {
  // L: mov rsi, DATA; mov rdi, DATA + 0x10000; mov ecx, 0x10000; rep movsb; jmp L
  g.load(hex('be00006000 bf00006100 b900000100 f3a4 ebed'));
  g.run(CODE, 1000);
  const repeats = 40;
  const samples = sampled(() => {
    const start = cpu_ns();
    g.run(CODE, repeats * 20);
    return ((repeats * 65536) / (1 << 20) / (cpu_ns() - start)) * 1e9;
  });
  tell(COPY, 'MiB/s', 'higher', samples);
}

const NULL_CALL = 'null system call';
const COPY = 'rep movsb of 64 KiB';
const guest = new GuestCode();
for (const loop of LOOPS) if (is_wanted(loop.name)) run_loop(guest, loop);
if (is_wanted(NULL_CALL)) run_syscalls(guest);
if (is_wanted(COPY)) run_copy(guest);
