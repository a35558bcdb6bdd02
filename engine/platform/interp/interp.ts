/**
 * The interpreter platform: guest code runs in a generated WebAssembly module, one handler a form of instruction,
 * over records that this thread decodes into its vCPU's arena.
 *
 * REP string instructions count as one instruction for each piece of up to a page; between pieces fuel and
 * interrupts are looked at, with the registers of a partly done instruction. The target of an instruction fetch
 * that faults is the RIP of the fault.
 */
import type { FrameAddr, Ptr } from '../../base/types.ts';
import { MACHINE, MachineHeader } from '../../heap/machine.layout.ts';
import { code_frame_changed } from '../../machine/code_events.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import { enter_guest, leave_guest } from '../../machine/safe_point.ts';
import { ACCESS_EXEC, Vcpu } from '../../machine/vcpu.layout.ts';
import { HELPERS } from '../../x86/helpers.ts';
import type { ExitReason, Platform, PlatformHooks, PlatformStatistics } from '../platform.ts';
import { CodeCache } from './cache.ts';
import { CONDITION_CODES, type Handlers } from './encode.ts';
import { VARIANTS } from './forms.ts';
import { FUSED_ENTRY, FUSED_SECTION, HANDLER_ENTRY, HANDLER_SECTION } from './section.ts';

const TWO_32 = 4294967296;
/** High halves from here on belong to addresses that are not exact as doubles. */
const EXACT_HIGH = 0x20_0000;

/** Handler by row * VARIANTS + variant, out of the module's custom section. */
function handler_table(module: WebAssembly.Module): Uint16Array {
  const sections = WebAssembly.Module.customSections(module, HANDLER_SECTION);
  if (sections.length !== 1) throw new Error('this is not an interpreter module: rebuild it');
  const bytes = new Uint8Array(sections[0]!);
  const last = bytes.length - HANDLER_ENTRY;
  const rows = bytes[last]! + bytes[last + 1]! * 256 + 1;
  const table = new Uint16Array(rows * VARIANTS);
  for (let at = 0; at < bytes.length; at += HANDLER_ENTRY) {
    const row = bytes[at]! + bytes[at + 1]! * 256;
    table[row * VARIANTS + bytes[at + 2]!] = bytes[at + 4]! + bytes[at + 5]! * 256;
  }
  return table;
}

/** Handler of a form fused with a branch, by (row * VARIANTS + variant) * 16 + condition. */
function fused_table(module: WebAssembly.Module): ReadonlyMap<number, number> {
  const sections = WebAssembly.Module.customSections(module, FUSED_SECTION);
  const bytes = new Uint8Array(sections[0] ?? new ArrayBuffer(0));
  const table = new Map<number, number>();
  for (let at = 0; at < bytes.length; at += FUSED_ENTRY) {
    const form = (bytes[at]! + bytes[at + 1]! * 256) * VARIANTS + bytes[at + 2]!;
    table.set(form * CONDITION_CODES + bytes[at + 3]!, bytes[at + 4]! + bytes[at + 5]! * 256);
  }
  return table;
}

/** One thread's interpreter on one machine; the translator builds on it. */
export class Interpreter implements Platform {
  readonly name: string = 'interp';
  private readonly hooks: PlatformHooks;
  private readonly handlers: Handlers;
  protected readonly caches = new Map<number, CodeCache>();
  protected readonly memory: WebAssembly.Memory;
  protected readonly exports: Readonly<Record<string, unknown>>;
  private readonly run: (cpu: number, vcpu: number) => number;

  /** A record is `hot` after `heat` branches to it, 1 to 65535. */
  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, hooks: PlatformHooks, heat = 0xffff) {
    this.hooks = hooks;
    this.memory = memory;
    this.handlers = { single: handler_table(module), fused: fused_table(module), heat };
    const instance = new WebAssembly.Instance(module, {
      env: { memory },
      hooks: {
        fault: (address: number, access: number) => hooks.fault(address, access),
        syscall: () => hooks.syscall(),
        decode: (cpu: number, vcpu: number, lo: number, hi: number) =>
          this.decode(cpu as Ptr<'CpuState'>, vcpu as Ptr<'Vcpu'>, lo, hi),
        link: (op: number, vcpu: number) => this.link(vcpu as Ptr<'Vcpu'>, op >>> 0),
        code_write: (vcpu: number, frame: number) => this.code_write(vcpu as Ptr<'Vcpu'>, (frame >>> 0) as FrameAddr),
        hot: (op: number, cpu: number, vcpu: number) => this.hot(cpu as Ptr<'CpuState'>, vcpu as Ptr<'Vcpu'>, op >>> 0),
        original: (op: number, vcpu: number) => this.original(vcpu as Ptr<'Vcpu'>, op >>> 0),
        validate: (region: number, vcpu: number) => this.validate(vcpu as Ptr<'Vcpu'>, region),
        marked: (op: number, cpu: number, vcpu: number) =>
          this.marked(vcpu as Ptr<'Vcpu'>, op >>> 0, CpuState.rip_hi.get(cpu as Ptr<'CpuState'>)),
        sampled: (link: number, op: number, vcpu: number) => this.sampled(vcpu as Ptr<'Vcpu'>, link, op >>> 0),
        point: (region: number, vcpu: number) => this.point(vcpu as Ptr<'Vcpu'>, region),
      },
      helpers: this.helpers(),
    });
    this.exports = instance.exports;
    this.run = instance.exports.run as (cpu: number, vcpu: number) => number;
  }

  protected helpers(): Record<string, unknown> {
    const functions: Record<string, unknown> = {};
    for (const [name, helper] of Object.entries(HELPERS)) functions[name] = helper.run;
    functions.tsc = () => this.hooks.tsc();
    return functions;
  }

  protected cache(vcpu: Ptr<'Vcpu'>): CodeCache {
    let cache = this.caches.get(vcpu);
    if (cache === undefined) {
      cache = new CodeCache(vcpu, this.handlers, (address, access) => this.hooks.fault(address, access));
      this.caches.set(vcpu, cache);
      this.cache_made(vcpu, cache);
    }
    return cache;
  }

  // What the translator replaces

  /** Records of a vCPU will be in this cache. */
  protected cache_made(_vcpu: Ptr<'Vcpu'>, _cache: CodeCache): void {}

  /** So many branches have led to the record; the high half of its address is CpuState.rip_hi. */
  protected hot(_cpu: Ptr<'CpuState'>, _vcpu: Ptr<'Vcpu'>, _op: number): void {}

  /** The handler of a record before its code was translated. */
  protected original(_vcpu: Ptr<'Vcpu'>, _op: number): number {
    return 0;
  }

  /** Whether the pages of translated region are mapped as when it was made: not 0. */
  protected validate(_vcpu: Ptr<'Vcpu'>, _region: number): number {
    return 0;
  }

  /** Where in a region Vcpu.region_point is: sets Vcpu.region_rip, answers the rest as `leave_region` takes it. */
  protected point(_vcpu: Ptr<'Vcpu'>, _region: number): number {
    return 0;
  }

  /** An indirect jump has led to the record, for the first time; the high half of its address is `rip_hi`. */
  protected marked(_vcpu: Ptr<'Vcpu'>, _op: number, _rip_hi: number): void {}

  /** A way out of translated code with the link `link` as its first has led to the record. */
  protected sampled(_vcpu: Ptr<'Vcpu'>, _link: number, _op: number): void {}

  /** The record that a direct branch leads to, 0 where it may not be linked. */
  protected link(vcpu: Ptr<'Vcpu'>, op: number): number {
    return this.cache(vcpu).link(op);
  }

  /** The record at an address, or 0 on a fault. */
  protected decode(_cpu: Ptr<'CpuState'>, vcpu: Ptr<'Vcpu'>, lo: number, hi: number): number {
    if (hi >>> 0 < EXACT_HIGH) return this.cache(vcpu).lookup((hi >>> 0) * TWO_32 + (lo >>> 0));
    // Not a user address, and a double would lose its low bits.
    Vcpu.fault_address.set_parts(vcpu, lo >>> 0, hi >>> 0);
    Vcpu.fault_access.set(vcpu, ACCESS_EXEC);
    return 0;
  }

  /** A guest store is about to hit a frame with code. Guest mode is left, since the kernel's part takes a lock. */
  private code_write(vcpu: Ptr<'Vcpu'>, frame: FrameAddr): void {
    leave_guest(vcpu);
    code_frame_changed(frame);
    this.cache(vcpu).invalidate_frame(frame);
    enter_guest(vcpu);
  }

  switch_to(cpu: Ptr<'CpuState'>, vcpu: Ptr<'Vcpu'>): ExitReason {
    Vcpu.frame_table.set(vcpu, MachineHeader.frame_table.get(MACHINE));
    // A vCPU that comes from another thread brings records that this thread knows nothing of: a new cache voids them.
    this.cache(vcpu);
    return this.run(cpu, vcpu);
  }

  invalidate_frame(frame: FrameAddr): void {
    for (const cache of this.caches.values()) cache.invalidate_frame(frame);
  }

  flush_translations(vcpu: Ptr<'Vcpu'>): void {
    this.cache(vcpu).flush_translations();
  }

  switch_space(vcpu: Ptr<'Vcpu'>, space: number, changes: number): void {
    this.cache(vcpu).switch_space(space, changes);
  }

  drop_caches(vcpu: Ptr<'Vcpu'>): void {
    this.cache(vcpu).drop();
  }

  statistics(vcpu: Ptr<'Vcpu'>): PlatformStatistics {
    return this.cache(vcpu).statistics();
  }
}

/**
 * An interpreter for this thread. `module` is the generated module (`dist/engine/platform/interp/interp.wasm`),
 * compiled; it may be shared between threads. The memory must be bound (`bind_memory`). Throws when the module
 * was not made by this version of the sources.
 */
export function create_interpreter(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  hooks: PlatformHooks,
): Platform {
  return new Interpreter(module, memory, hooks);
}
