/**
 * Runs snippets in the interpreter or through the translator: a bare machine whose page table maps the addresses that the native runner
 * maps, with the same rights.
 */
import type { FrameAddr, Ptr } from '../../engine/base/types.ts';
import { MACHINE, MachineHeader } from '../../engine/heap/machine.layout.ts';
import { bind_memory, U8, U32, U64 } from '../../engine/heap/memory.ts';
import { AUX_AF, AUX_CF, AUX_PDB_SHIFT, AUX_PO, AUX_SFD, CpuState } from '../../engine/machine/cpu.layout.ts';
import { PTE_EXEC, PTE_PRESENT, PTE_WRITE } from '../../engine/machine/page_table.layout.ts';
import {
  ACCESS_EXEC,
  ACCESS_WRITE,
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY_SHIFT,
  JUMP_CACHE_OFFSET,
  TLB_ENTRIES,
  TLB_ENTRY_SHIFT,
  TLB_OFFSET,
  Vcpu,
  vcpu_at,
} from '../../engine/machine/vcpu.layout.ts';
import { create_interpreter } from '../../engine/platform/interp/interp.ts';
import { create_jit } from '../../engine/platform/jit/jit.ts';
import type { JitOptions } from '../../engine/platform/jit/region_cache.ts';
import { EXIT_EXCEPTION, EXIT_FAULT, EXIT_FUEL, type Platform } from '../../engine/platform/platform.ts';
import { write_fxsave } from '../../engine/x86/x87/control.ts';
import { interpreter_module } from '../support/guest_code.ts';
import { test_memory } from '../support/memory.ts';
import type { Tier } from './cpu_oracle.ts';
import type { Generated } from './generate.ts';
import {
  CODE_BASE,
  CODE_SIZE,
  type CpuImage,
  FS_BASE,
  GS_BASE,
  new_image,
  type Outcome,
  VECTOR_HANG,
  WINDOW_HIGH,
  WINDOW_LOW,
  WINDOW_SIZE,
} from './native.ts';

const PAGE = 4096;
const FUEL = 200_000;
const INT3 = 0xcc;
/** Flags of RFLAGS that are kept as they are: TF, NT, AC, ID. */
const OTHER_FLAGS = 0x24_4100;

class Bench {
  readonly memory: WebAssembly.Memory;
  readonly cpu: Ptr<'CpuState'>;
  readonly vcpu: Ptr<'Vcpu'>;
  private readonly platform: Platform;
  private next_frame: number;
  private readonly root: number;
  private readonly code: number[] = [];
  private readonly window: number[] = [];
  /** Frames whose code has changed since they were last run. */
  private readonly stale = new Set<number>();

  constructor(jit: JitOptions | null) {
    const memory = test_memory();
    this.memory = memory;
    this.next_frame = MachineHeader.frames_base.get(MACHINE);
    this.cpu = MachineHeader.heap_base.get(MACHINE) as Ptr<'CpuState'>;
    this.vcpu = vcpu_at(0);
    this.root = this.frame();
    for (let at = 0; at < CODE_SIZE; at += PAGE) this.code.push(this.map(CODE_BASE + at, this.frame(), PTE_EXEC));
    for (let at = 0; at < WINDOW_SIZE; at += PAGE) {
      const rights = at < 8192 ? PTE_WRITE : 0;
      const frame = this.map(WINDOW_LOW + at, this.frame(), rights);
      this.map(WINDOW_HIGH + at, frame, rights);
      this.window.push(frame);
    }
    for (const frame of this.code) U8.fill(INT3, frame, frame + PAGE);
    U8.fill(0xff, this.vcpu + TLB_OFFSET, this.vcpu + TLB_OFFSET + (TLB_ENTRIES << TLB_ENTRY_SHIFT));
    const jumps = this.vcpu + JUMP_CACHE_OFFSET;
    U8.fill(0xff, jumps, jumps + (JUMP_CACHE_ENTRIES << JUMP_CACHE_ENTRY_SHIFT));
    Vcpu.page_table.set(this.vcpu, this.root);
    const hooks = { syscall: () => 1, fault: () => 1, tsc: () => 0 };
    const module = interpreter_module();
    this.platform = jit === null ? create_interpreter(module, memory, hooks) : create_jit(module, memory, hooks, jit);
  }

  private frame(): number {
    this.next_frame += PAGE;
    return this.next_frame - PAGE;
  }

  /** Maps one page; answers its frame. */
  private map(address: number, frame: number, rights: number): number {
    let table = this.root;
    for (let level = 3; level > 0; level--) {
      const shift = 12 + level * 10;
      const slot = (table + (Math.floor(address / 2 ** shift) % 1024) * 4) >>> 2;
      if ((U32[slot] as number) === 0) U32[slot] = this.frame() | PTE_PRESENT;
      table = ((U32[slot] as number) & ~0xfff) >>> 0;
    }
    U32[(table + (Math.floor(address / PAGE) % 1024) * 4) >>> 2] = frame | PTE_PRESENT | rights;
    return frame;
  }

  load_window(image: Uint8Array): void {
    this.window.forEach((frame, i) => {
      U8.set(image.subarray(i * PAGE, (i + 1) * PAGE), frame);
    });
  }

  private put_code(at: number, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      const offset = at - CODE_BASE + i;
      const frame = this.code[offset >> 12] as number;
      U8[frame + (offset & 4095)] = bytes[i] as number;
      this.stale.add(frame);
    }
  }

  run(snippet: Generated, image: Uint8Array): Outcome {
    const { cpu, vcpu } = this;
    const at = Number(snippet.state.rip);
    this.put_code(at, snippet.code);
    write_state(cpu, snippet.state);
    for (const frame of this.stale) this.platform.invalidate_frame(frame as FrameAddr);
    this.stale.clear();
    Vcpu.fuel.set(vcpu, FUEL);
    const reason = this.platform.switch_to(cpu, vcpu);
    this.put_code(at, new Uint8Array(snippet.code.length).fill(INT3));
    let vector = VECTOR_HANG;
    let error_code = 0;
    let address = 0n;
    if (reason === EXIT_EXCEPTION) vector = Vcpu.exception.get(vcpu);
    else if (reason === EXIT_FAULT) {
      vector = 14;
      address = Vcpu.fault_address.get_big(vcpu);
      const access = Vcpu.fault_access.get(vcpu);
      error_code = access === ACCESS_WRITE ? 2 : access === ACCESS_EXEC ? 16 : 0;
    } else if (reason !== EXIT_FUEL) throw new Error(`the interpreter left with reason ${reason}`);
    const retired = FUEL - Vcpu.fuel.get(vcpu);
    return { vector, error_code, address, state: read_state(cpu), changes: this.changes(image), retired };
  }

  /** Words of the window that differ from the image; puts them back. */
  private changes(image: Uint8Array): Map<number, bigint> {
    const out = new Map<number, bigint>();
    const words = new Uint32Array(image.buffer, image.byteOffset, image.length >> 2);
    this.window.forEach((frame, page) => {
      const from = frame >>> 2;
      const was = page * (PAGE >> 2);
      for (let i = 0; i < PAGE >> 2; i++) {
        if (U32[from + i] === words[was + i]) continue;
        const even = i & ~1;
        out.set(page * PAGE + even * 4, U64[(from + even) >>> 1] as bigint);
        U32[from + even] = words[was + even] as number;
        U32[from + even + 1] = words[was + even + 1] as number;
      }
    });
    return out;
  }
}

function write_state(cpu: Ptr<'CpuState'>, state: CpuImage): void {
  U8.fill(0, cpu, cpu + CpuState.SIZE);
  for (let i = 0; i < 16; i++) U64[((cpu + CpuState.gpr.offset) >>> 3) + i] = state.gpr[i] as bigint;
  CpuState.rip.set_big(cpu, state.rip);
  const f = state.rflags;
  // A non-zero result with the parity of its low byte put right, or zero with corrections.
  const result = (f & 0x40) !== 0 ? 0 : 1;
  CpuState.flags_result.set(cpu, result);
  const cf = (f & 1) !== 0;
  const of = (f & 0x800) !== 0;
  // Even parity of the byte (result xor PDB) is PF.
  const wants_even = (f & 4) !== 0;
  const is_even = result === 0;
  let aux = cf ? AUX_CF : 0;
  if (cf !== of) aux |= AUX_PO;
  if ((f & 0x10) !== 0) aux |= AUX_AF;
  if ((f & 0x80) !== 0) aux |= AUX_SFD;
  if (wants_even !== is_even) aux |= 1 << AUX_PDB_SHIFT;
  CpuState.flags_aux.set(cpu, aux >>> 0);
  CpuState.df.set(cpu, (f >> 10) & 1);
  CpuState.flags_other.set(cpu, f & OTHER_FLAGS);
  CpuState.fs_base.set(cpu, FS_BASE);
  CpuState.gs_base.set(cpu, GS_BASE);
  const view = new DataView(state.fx.buffer, state.fx.byteOffset, 512);
  CpuState.fcw.set(cpu, view.getUint16(0, true));
  CpuState.fsw.set(cpu, view.getUint16(2, true));
  CpuState.ftag.set(cpu, state.fx[4] as number);
  CpuState.fop.set(cpu, view.getUint16(6, true));
  CpuState.fip.set_parts(cpu, view.getUint32(8, true), view.getUint32(12, true));
  CpuState.fdp.set_parts(cpu, view.getUint32(16, true), view.getUint32(20, true));
  CpuState.mxcsr.set(cpu, view.getUint32(24, true));
  const top = (view.getUint16(2, true) >> 11) & 7;
  for (let i = 0; i < 8; i++) {
    const to = cpu + CpuState.st.offset + ((top + i) & 7) * 16;
    U8.set(state.fx.subarray(32 + i * 16, 42 + i * 16), to);
  }
  U8.set(state.fx.subarray(160, 416), cpu + CpuState.xmm.offset);
}

function parity_even(byte: number): boolean {
  let bits = byte & 0xff;
  bits ^= bits >> 4;
  bits ^= bits >> 2;
  bits ^= bits >> 1;
  return (bits & 1) === 0;
}

/** RFLAGS of the lazy representation (cpu.layout.ts). */
function read_flags(cpu: Ptr<'CpuState'>): number {
  const result = CpuState.flags_result.get_big(cpu);
  const aux = CpuState.flags_aux.get(cpu);
  const cf = (aux & AUX_CF) !== 0;
  const of = cf !== ((aux & AUX_PO) !== 0);
  const sf = (result >> 63n !== 0n) !== ((aux & AUX_SFD) !== 0);
  const pf = parity_even(Number(result & 0xffn) ^ (aux >>> AUX_PDB_SHIFT));
  let flags = 0x202 | CpuState.flags_other.get(cpu);
  if (cf) flags |= 1;
  if (pf) flags |= 4;
  if ((aux & AUX_AF) !== 0) flags |= 0x10;
  if (result === 0n) flags |= 0x40;
  if (sf) flags |= 0x80;
  if (of) flags |= 0x800;
  if (CpuState.df.get(cpu) !== 0) flags |= 0x400;
  return flags;
}

function read_state(cpu: Ptr<'CpuState'>): CpuImage {
  const state = new_image();
  for (let i = 0; i < 16; i++) state.gpr[i] = U64[((cpu + CpuState.gpr.offset) >>> 3) + i] as bigint;
  state.rip = CpuState.rip.get_big(cpu);
  state.rflags = read_flags(cpu);
  const at = cpu + CpuState.SIZE;
  write_fxsave(cpu, at, true);
  state.fx.set(U8.subarray(at, at + 512));
  return state;
}

/** A platform whose machine is made at the first call; it runs one of `every` snippets. */
function tier_of(name: string, jit: JitOptions | null, every = 1): Tier {
  let bench: Bench | null = null;
  return {
    name,
    every,
    run: (snippets, image) => {
      if (bench === null) bench = new Bench(jit);
      else bind_memory(bench.memory);
      bench.load_window(image);
      const out: Outcome[] = [];
      for (const snippet of snippets) out.push(bench.run(snippet, image));
      return out;
    },
    regions: () => {
      if (bench === null) return 0;
      bind_memory(bench.memory);
      return Vcpu.regions_made.get(bench.vcpu);
    },
  };
}

/**
 * Instructions of a region: more than a snippet has. What surrounds it is int3, which a region follows as far as it may,
 * since behind an instruction of the interpreter's its code goes on.
 */
const REGION = 24;
/** Instructions of the regions of which a snippet needs several. */
const PART = 2;

export const INTERPRETER = tier_of('interp', null);
/** Everything is translated before it runs for the first time. */
export const TRANSLATOR = tier_of('jit', { heat: 1, eager: true, instructions: REGION });
/** The same in regions so small that most of a snippet is ways between them, and that resolve TLB misses in place. */
export const PARTS = tier_of('parts', { heat: 1, eager: true, instructions: PART, misses: 0 }, 4);
export const TIERS: readonly Tier[] = [INTERPRETER, TRANSLATOR, PARTS];
