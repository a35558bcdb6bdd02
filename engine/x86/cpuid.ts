/**
 * CPUID: an x86-64-v2 processor without XSAVE and AVX (Intel SDM volume 2, CPUID), the same that /proc/cpuinfo shows.
 *
 * It is Intel's first of that level, Nehalem: libraries that choose code by model find nothing in it that is not there.
 * glibc reads no feature word of a vendor it does not know (init_cpu_features), and takes AMD's processors with SSSE3 and
 * without AVX to be slow at unaligned accesses: it copies by shuffles then, behind jumps by tables, and never by
 * `rep movsb`.
 */
import type { Ptr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { CpuState, RAX, RBX, RCX, RDX } from '../machine/cpu.layout.ts';

type Words = readonly [number, number, number, number];

const VENDOR = 'GenuineIntel';
const BRAND = 'tvisor x86-64-v2';

/** Leaf 1 EDX: fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clfsh mmx fxsr sse sse2. */
const FEATURES_EDX = 0x078b_fbff & ~(1 << 1);
/** Leaf 1 ECX: sse3, ssse3, cx16, sse4.1, sse4.2, popcnt, hypervisor. */
const FEATURES_ECX = (1 << 0) | (1 << 9) | (1 << 13) | (1 << 19) | (1 << 20) | (1 << 23) | (1 << 31);
/** Leaf 7 EBX: erms. */
const FEATURES_7_EBX = 1 << 9;
/** Leaf 0x80000001 ECX: lahf; EDX: syscall, nx, rdtscp, lm. */
const EXTENDED_ECX = 1 << 0;
const EXTENDED_EDX = (1 << 11) | (1 << 20) | (1 << 27) | (1 << 29);
/** Family 6, model 26, stepping 3. */
const SIGNATURE = 0x0001_06a3;
/** Leaf 2: one descriptor, which says that caches are in leaf 4. */
const CACHES_IN_LEAF_4 = 0x0000_ff01;
const LINE = 64;
const DATA = 1;
const CODE = 2;
const UNIFIED = 3;
/** 63 MiB of L2, no L3: glibc copies up to most of that size with `rep movsb`, which is a block copy here. */
const CACHES: readonly Words[] = [cache(DATA, 1, 2, 64), cache(CODE, 1, 2, 64), cache(UNIFIED, 2, 8, 63 * 1024)];
/** The same L2 as leaf 0x80000006 has it: KiB, eight-way, line. */
const L2_CACHE = (0xfc00 << 16) | (6 << 12) | LINE;
/** CLFLUSH line of 64 bytes in units of 8, in bits 8-15. */
const CLFLUSH_LINE = 8 << 8;
const MAX_LEAF = 7;
const MAX_EXTENDED = 0x8000_0008;
/** 40 physical and 48 virtual address bits. */
const ADDRESS_BITS = 0x3028;

/** A cache of so many ways and KiB, as leaf 4 describes it. */
function cache(type: number, level: number, ways: number, kib: number): Words {
  const self_initializing = 1 << 8;
  const sets = (kib * 1024) / (LINE * ways);
  return [type | (level << 5) | self_initializing, (LINE - 1) | ((ways - 1) << 22), sets - 1, 0];
}

function word_of(text: string, at: number): number {
  let word = 0;
  for (let i = 0; i < 4; i++) word |= (text.charCodeAt(at + i) || 0) << (8 * i);
  return word;
}

/** The four words of a leaf: EAX, EBX, ECX, EDX. Unknown leaves, and sub-leaves of those that have some, are zero. */
export function cpuid_leaf(leaf: number, sub_leaf: number): Words {
  switch (leaf >>> 0) {
    case 0:
      return [MAX_LEAF, word_of(VENDOR, 0), word_of(VENDOR, 8), word_of(VENDOR, 4)];
    case 1:
      return [SIGNATURE, CLFLUSH_LINE, FEATURES_ECX, FEATURES_EDX];
    case 2:
      return [CACHES_IN_LEAF_4, 0, 0, 0];
    case 4:
      return CACHES[sub_leaf >>> 0] ?? [0, 0, 0, 0];
    case 7:
      return [0, sub_leaf === 0 ? FEATURES_7_EBX : 0, 0, 0];
    case 0x8000_0000:
      return [MAX_EXTENDED, 0, 0, 0];
    case 0x8000_0001:
      return [0, 0, EXTENDED_ECX, EXTENDED_EDX];
    case 0x8000_0002:
      return [word_of(BRAND, 0), word_of(BRAND, 4), word_of(BRAND, 8), word_of(BRAND, 12)];
    case 0x8000_0006:
      return [0, 0, L2_CACHE, 0];
    case 0x8000_0008:
      return [ADDRESS_BITS, 0, 0, 0];
    default:
      return [0, 0, 0, 0];
  }
}

/** The helper: reads EAX and ECX, writes all four registers. */
export function cpuid(cpu: Ptr<'CpuState'>): undefined {
  const gpr = CpuState.gpr.at(cpu) >> 2;
  const words = cpuid_leaf(U32[gpr + RAX * 2]!, U32[gpr + RCX * 2]!);
  [RAX, RBX, RCX, RDX].forEach((register, i) => {
    U32[gpr + register * 2] = words[i]!;
    U32[gpr + register * 2 + 1] = 0;
  });
}
