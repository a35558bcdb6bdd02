/**
 * The translating platform: the interpreter, and regions of WebAssembly for the code that is hot. The record of an
 * instruction where a region may be entered has the region's function as its handler, so whatever leads to the record
 * leads to the region; what makes records void (changed code, dropped caches) makes its entries void.
 */
import type { FrameAddr, Ptr } from '../../base/types.ts';
import { U32 } from '../../heap/memory.ts';
import { CpuState, RSP } from '../../machine/cpu.layout.ts';
import { TLB_ENTRIES, TLB_ENTRY_SHIFT, TLB_OFFSET, Vcpu } from '../../machine/vcpu.layout.ts';
import type { CodeCache } from '../interp/cache.ts';
import { Interpreter } from '../interp/interp.ts';
import { RECORD_RIP } from '../interp/record.ts';
import type { Platform, PlatformHooks, PlatformStatistics } from '../platform.ts';
import { type JitOptions, RegionCache } from './region_cache.ts';

const TWO_32 = 4294967296;

export const DEFAULT_JIT_OPTIONS: JitOptions = { heat: 32000, eager: false };

function rsp_of(cpu: Ptr<'CpuState'>): number {
  const at = (cpu + CpuState.gpr.offset + RSP * 8) >>> 2;
  return (U32[at + 1] as number) * TWO_32 + (U32[at] as number);
}

/** The 8 bytes at a guest address if the TLB has them for writing, as what a call has just pushed is; else 0. */
function peek(vcpu: Ptr<'Vcpu'>, address: number): number {
  const entry = (vcpu + TLB_OFFSET + (((address >>> 12) & (TLB_ENTRIES - 1)) << TLB_ENTRY_SHIFT)) >>> 2;
  const page = address - (address % 4096);
  if (address % 8 !== 0 || U32[entry + 2] !== page >>> 0 || U32[entry + 3] !== Math.floor(page / TWO_32)) return 0;
  const at = (((U32[entry + 4] as number) + address) >>> 0) >>> 2;
  return (U32[at + 1] as number) * TWO_32 + (U32[at] as number);
}

const MXCSR_PE = 0x20;

class Jit extends Interpreter {
  override readonly name = 'jit';
  private readonly options: JitOptions;
  private readonly regions = new Map<number, RegionCache>();
  private readonly runtime_helpers: Record<string, unknown>;

  constructor(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    hooks: PlatformHooks,
    options: JitOptions = DEFAULT_JIT_OPTIONS,
  ) {
    super(module, memory, hooks, options.heat);
    this.options = options;
    this.runtime_helpers = this.helpers();
  }

  protected override cache_made(vcpu: Ptr<'Vcpu'>, cache: CodeCache): void {
    const imports = {
      env: { memory: this.memory },
      runtime: this.exports,
      helpers: this.runtime_helpers,
    };
    this.regions.set(vcpu, new RegionCache(vcpu, cache, imports, this.options));
  }

  private region_cache(vcpu: Ptr<'Vcpu'>): RegionCache {
    this.cache(vcpu);
    return this.regions.get(vcpu) as RegionCache;
  }

  /** In a function's first instruction the return address is on top of the stack. */
  private translate(cpu: Ptr<'CpuState'>, vcpu: Ptr<'Vcpu'>, rip: number): void {
    Vcpu.translating.set(vcpu, 1);
    this.region_cache(vcpu).note_inexact((CpuState.mxcsr.get(cpu) & MXCSR_PE) !== 0);
    this.region_cache(vcpu).translate(rip, peek(vcpu, rsp_of(cpu)));
    Vcpu.translating.set(vcpu, 0);
  }

  protected override hot(cpu: Ptr<'CpuState'>, vcpu: Ptr<'Vcpu'>, op: number): void {
    const rip_hi = CpuState.rip_hi.get(cpu);
    this.translate(cpu, vcpu, rip_hi * TWO_32 + (U32[(op + RECORD_RIP) >>> 2] as number));
  }

  protected override original(vcpu: Ptr<'Vcpu'>, op: number): number {
    return this.region_cache(vcpu).original(op);
  }

  protected override validate(vcpu: Ptr<'Vcpu'>, region: number): number {
    return this.region_cache(vcpu).validate(region);
  }

  protected override marked(vcpu: Ptr<'Vcpu'>, op: number, rip_hi: number): void {
    this.region_cache(vcpu).mark(rip_hi * TWO_32 + (U32[(op + RECORD_RIP) >>> 2] as number));
  }

  protected override sampled(vcpu: Ptr<'Vcpu'>, link: number, op: number): void {
    Vcpu.translating.set(vcpu, 1);
    this.region_cache(vcpu).sample(link, op);
    Vcpu.translating.set(vcpu, 0);
  }

  protected override point(vcpu: Ptr<'Vcpu'>, region: number): number {
    return this.region_cache(vcpu).point(region);
  }

  protected override decode(cpu: Ptr<'CpuState'>, vcpu: Ptr<'Vcpu'>, lo: number, hi: number): number {
    const record = super.decode(cpu, vcpu, lo, hi);
    // An instruction that translated code gave back is the interpreter's, this time.
    const again = Vcpu.region_exit.get(vcpu) !== 0;
    Vcpu.region_exit.set(vcpu, 0);
    if (record !== 0 && this.options.eager && !again) this.translate(cpu, vcpu, (hi >>> 0) * TWO_32 + (lo >>> 0));
    return record;
  }

  override invalidate_frame(frame: FrameAddr): void {
    for (const regions of this.regions.values()) regions.invalidate_frame(frame);
    super.invalidate_frame(frame);
  }

  override statistics(vcpu: Ptr<'Vcpu'>): PlatformStatistics {
    return { ...super.statistics(vcpu), ...this.region_cache(vcpu).statistics() };
  }

  override drop_caches(vcpu: Ptr<'Vcpu'>): void {
    this.region_cache(vcpu).drop();
    super.drop_caches(vcpu);
  }
}

/** The translating platform for this thread; see `create_interpreter`. */
export function create_jit(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  hooks: PlatformHooks,
  options: JitOptions = DEFAULT_JIT_OPTIONS,
): Platform {
  return new Jit(module, memory, hooks, options);
}
