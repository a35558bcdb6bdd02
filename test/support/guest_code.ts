/**
 * A vCPU with a page table made by hand, to run machine code bytes without a kernel.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FrameAddr, Ptr } from '../../engine/base/types.ts';
import { heap_page_alloc } from '../../engine/heap/heap_pages.ts';
import { MACHINE, MachineHeader } from '../../engine/heap/machine.layout.ts';
import { bind_memory, U8, U32 } from '../../engine/heap/memory.ts';
import { code_frame_changed, register_code_invalidation } from '../../engine/machine/code_events.ts';
import { CpuState } from '../../engine/machine/cpu.layout.ts';
import { PTE_EXEC, PTE_PRESENT, PTE_WRITE } from '../../engine/machine/page_table.layout.ts';
import { set_this_vcpu } from '../../engine/machine/this_vcpu.ts';
import { TLB_ENTRIES, TLB_ENTRY_SHIFT, TLB_OFFSET, Vcpu, vcpu_at } from '../../engine/machine/vcpu.layout.ts';
import { generate_interpreter } from '../../engine/platform/interp/generate.ts';
import { create_interpreter } from '../../engine/platform/interp/interp.ts';
import { create_jit } from '../../engine/platform/jit/jit.ts';
import type { JitOptions } from '../../engine/platform/jit/region_cache.ts';
import type { Platform, PlatformHooks } from '../../engine/platform/platform.ts';
import { test_memory } from './memory.ts';

export const CODE = 0x40_0000;
export const DATA = 0x60_0000;
export const STACK_TOP = 0x7fff_0000;
export const READ_ONLY = PTE_PRESENT;
export const READ_WRITE = PTE_PRESENT | PTE_WRITE;
export const EXECUTE = PTE_PRESENT | PTE_EXEC;
export const ALL = PTE_PRESENT | PTE_WRITE | PTE_EXEC;

let compiled: WebAssembly.Module | null = null;

const ENGINE = fileURLToPath(new URL('../../engine', import.meta.url));

/** The built module, if it is not older than any source that it is generated from. */
function built_module(): Uint8Array | null {
  const file = join(ENGINE, 'platform', 'interp', 'interp.wasm');
  if (!existsSync(file)) return null;
  const built = statSync(file).mtimeMs;
  for (const folder of ['x86', 'wasm', 'machine', 'platform'])
    for (const name of readdirSync(join(ENGINE, folder), { recursive: true, encoding: 'utf8' }))
      if (name.endsWith('.js') && statSync(join(ENGINE, folder, name)).mtimeMs > built) return null;
  return readFileSync(file);
}

/** The interpreter's module: the built one, or one generated once a process. */
export function interpreter_module(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(built_module() ?? generate_interpreter().bytes);
  return compiled;
}

/** TVISOR_TEST_JIT lets tests of the interpreter run through the translator as well: the heat, 1 also for eager. */
function default_jit(): JitOptions | null {
  const heat = Number(process.env.TVISOR_TEST_JIT ?? 0);
  return heat === 0 ? null : { heat, eager: heat === 1 };
}

export class GuestCode {
  readonly memory: WebAssembly.Memory;
  readonly cpu: Ptr<'CpuState'>;
  readonly vcpu: Ptr<'Vcpu'>;
  readonly platform: Platform;
  /** What the hooks do; replace to observe. */
  hooks: PlatformHooks = { syscall: () => 1, fault: () => 1, tsc: () => 0 };
  private next_frame: number;
  private readonly root: number;

  /** With `jit` the guest's code is translated. */
  constructor(pages = 64, jit: JitOptions | null = default_jit()) {
    this.memory = test_memory();
    this.next_frame = MachineHeader.frames_base.get(MACHINE);
    this.cpu = heap_page_alloc() as Ptr<'CpuState'>;
    U8.fill(0, this.cpu, this.cpu + 4096);
    this.vcpu = vcpu_at(0);
    this.root = this.frame();
    Vcpu.page_table.set(this.vcpu, this.root);
    this.flush_tlb();
    const hooks: PlatformHooks = {
      syscall: () => this.hooks.syscall(),
      fault: (address, access) => this.hooks.fault(address, access),
      tsc: () => this.hooks.tsc(),
    };
    this.platform =
      jit === null
        ? create_interpreter(interpreter_module(), this.memory, hooks)
        : create_jit(interpreter_module(), this.memory, hooks, jit);
    this.bind();
    this.map(CODE, 4, EXECUTE);
    this.map(DATA, pages, READ_WRITE);
    this.map(STACK_TOP - 0x4000, 4, READ_WRITE);
    this.set('rsp', BigInt(STACK_TOP - 0x100));
  }

  /** Makes this machine the thread's, where there are several. */
  bind(): void {
    bind_memory(this.memory);
    set_this_vcpu(this.vcpu);
    register_code_invalidation({
      frame: (frame) => this.platform.invalidate_frame(frame),
      all: () => this.platform.drop_caches(this.vcpu),
    });
  }

  /** The bytes of a page were changed from outside. */
  code_changed(address: number): void {
    code_frame_changed((this.at(address) - (address % 4096)) as FrameAddr);
  }

  /** A zeroed frame. */
  frame(): FrameAddr {
    const frame = this.next_frame;
    this.next_frame += 4096;
    U8.fill(0, frame, frame + 4096);
    return frame as FrameAddr;
  }

  flush_tlb(): void {
    U8.fill(0xff, this.vcpu + TLB_OFFSET, this.vcpu + TLB_OFFSET + (TLB_ENTRIES << TLB_ENTRY_SHIFT));
  }

  private entry(address: number): number {
    const hi = Math.floor(address / 2 ** 32);
    const lo = address >>> 0;
    let at = this.root + (hi >>> 10) * 4;
    for (const index of [hi & 1023, lo >>> 22, (lo >>> 12) & 1023]) {
      if (U32[at >>> 2] === 0) U32[at >>> 2] = this.frame() | PTE_PRESENT;
      at = ((U32[at >>> 2]! & ~0xfff) >>> 0) + index * 4;
    }
    return at;
  }

  /** Maps fresh frames, or the given one. */
  map(address: number, pages: number, flags: number, frame?: FrameAddr): void {
    for (let i = 0; i < pages; i++) U32[this.entry(address + i * 4096) >>> 2] = (frame ?? this.frame()) | flags;
  }

  unmap(address: number): void {
    U32[this.entry(address) >>> 2] = 0;
    this.flush_tlb();
    this.platform.flush_translations(this.vcpu);
  }

  /** Page table entry of an address. */
  pte(address: number): number {
    return U32[this.entry(address) >>> 2]!;
  }

  /** Machine address of a mapped guest address. */
  at(address: number): number {
    return ((U32[this.entry(address) >>> 2]! & ~0xfff) >>> 0) + (address % 4096);
  }

  write(address: number, bytes: ArrayLike<number>): void {
    for (let i = 0; i < bytes.length; i++) U8[this.at(address + i)] = bytes[i]!;
  }

  read(address: number, length: number): number[] {
    return Array.from({ length }, (_, i) => U8[this.at(address + i)]!);
  }

  read_u64(address: number): bigint {
    return this.read(address, 8).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  write_u64(address: number, value: bigint): void {
    this.write(
      address,
      Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn)),
    );
  }

  private offset(register: string): number {
    const names = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
    const number = names.includes(register) ? names.indexOf(register) : Number(register.slice(1));
    return CpuState.gpr.offset + number * 8;
  }

  get(register: string): bigint {
    const at = (this.cpu + this.offset(register)) >>> 2;
    return (BigInt(U32[at + 1]!) << 32n) | BigInt(U32[at]!);
  }

  set(register: string, value: bigint): void {
    const at = (this.cpu + this.offset(register)) >>> 2;
    U32[at] = Number(value & 0xffff_ffffn);
    U32[at + 1] = Number((value >> 32n) & 0xffff_ffffn);
  }

  get rip(): number {
    return CpuState.rip.get(this.cpu);
  }

  /** Fills the bytes of code at CODE (or elsewhere) and forgets what was decoded. */
  load(bytes: ArrayLike<number>, address = CODE): void {
    this.write(address, bytes);
    this.platform.drop_caches(this.vcpu);
    this.flush_tlb();
  }

  /** Runs from `rip` with the given fuel; the exit reason. */
  run(rip = CODE, fuel = 1_000_000): number {
    CpuState.rip.set(this.cpu, rip);
    Vcpu.fuel.set(this.vcpu, fuel);
    return this.platform.switch_to(this.cpu, this.vcpu);
  }

  /** Loads code that ends with a syscall instruction and runs it. */
  execute(...bytes: number[]): number {
    this.load([...bytes, 0x0f, 0x05]);
    return this.run();
  }
}

/** Bytes out of a hexadecimal string; blanks are ignored. */
export function hex(text: string): number[] {
  return (text.replaceAll(/\s/g, '').match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
}
