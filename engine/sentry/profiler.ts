/**
 * A vCPU's part of a profile: what it did when the sampler looked, as a tree of stacks. A stack is the process, its
 * functions by frame pointers as far as they make sense, else where it is alone, and what the machine did for it.
 *
 * Translated code looks at interrupts where loops begin and where it branches to another region: time in a function
 * without either counts for its caller.
 */
import type { FrameAddr } from '../base/types.ts';
import { U8, U64 } from '../heap/memory.ts';
import { current, current_cpu } from '../kernel/current.ts';
import { Task } from '../kernel/task.layout.ts';
import { task_comm } from '../kernel/task.ts';
import { CpuState, RBP, RSP } from '../machine/cpu.layout.ts';
import { PTE_PRESENT, TASK_SIZE } from '../machine/page_table.layout.ts';
import { pte_get, pte_slot } from '../machine/page_table.ts';
import { Mm } from '../mm/mm.layout.ts';
import type { Region } from '../platform/jit/region.ts';
import type { RegionObserver } from '../platform/jit/region_cache.ts';
import { type CodePlace, code_mapping, code_place } from './code_map.ts';
import { PROFILED_CALLS, ProfileArea, STATE_CALLS, STATE_GUEST, STATE_IDLE, STATE_TRANSLATOR } from './profile_area.ts';

const PAGE = 4096;
const MAX_FRAMES = 64;
/** A frame lies at most so far above the one it was called from, bytes. */
const MAX_FRAME_BYTES = 1 << 20;
/** Bytes of code that a function without a frame has at most. */
const LARGE_FUNCTION = 4096;
/** Bytes of the longest indirect call. */
const LONGEST_CALL = 7;
/** Samples kept in their order; from then on only sums. */
const MAX_SAMPLES = 1 << 20;

/** A node of the tree: a process, a place of code, or something that the machine does. */
export interface ProfileNode {
  /** Index; -1 is the root. */
  readonly parent: number;
  readonly kind: 'process' | 'code' | 'call' | 'state';
  /** Name of a process; 'idle' or 'translator'; the number of a call; how code was run. */
  readonly text: string;
  readonly place: CodePlace | null;
}

/** What one thread has seen of a vCPU. */
export interface ProfilePart {
  readonly vcpu: number;
  readonly nodes: readonly ProfileNode[];
  /** Node of each sample, and its microseconds. */
  readonly samples: readonly number[];
  readonly times: readonly number[];
}

/** Machine address of a byte of the current task's memory, 0 where none is mapped. Never faults. */
function peek(root: FrameAddr, address: number): number {
  if (!(address >= 0 && address < TASK_SIZE)) return 0;
  const slot = pte_slot(root, address as Parameters<typeof pte_slot>[1]);
  const entry = slot === 0 ? 0 : pte_get(slot);
  return (entry & PTE_PRESENT) === 0 ? 0 : ((entry & ~(PAGE - 1)) >>> 0) + (address % PAGE);
}

function peek_u64(root: FrameAddr, address: number): number {
  const at = address % 8 === 0 ? peek(root, address) : 0;
  return at === 0 ? 0 : Number(U64[at >>> 3] as bigint);
}

/** Whether the instruction before a return address is a call. */
function follows_call(root: FrameAddr, address: number): boolean {
  if (code_mapping(address) === null) return false;
  const byte = (back: number): number => {
    const at = peek(root, address - back);
    return at === 0 ? 0 : (U8[at] as number);
  };
  if (byte(5) === 0xe8) return true;
  for (let back = 2; back <= LONGEST_CALL; back++)
    if (byte(back) === 0xff && ((byte(back - 1) >> 3) & 7) === 2) return true;
  return false;
}

/**
 * The return address of a function that has not made a frame, or has none: what the stack pointer points to, if a direct
 * call to code shortly before RIP lies in front of it; else 0.
 */
function frameless_return(root: FrameAddr, rip: number, stack: number): number {
  const address = peek_u64(root, stack);
  const opcode = peek(root, address - 5);
  if (address === 0 || opcode === 0 || U8[opcode] !== 0xe8 || code_mapping(address) === null) return 0;
  let distance = 0;
  for (let back = 1; back <= 4; back++) {
    const at = peek(root, address - back);
    distance = (distance << 8) | (at === 0 ? 0 : (U8[at] as number));
  }
  const target = address + distance;
  return rip >= target && rip - target < LARGE_FUNCTION ? address : 0;
}

/** Addresses of the current task's stack, the innermost first. */
function walk_stack(): number[] {
  const frames = [CpuState.rip.get(current_cpu)];
  const mm = Task.mm.get(current);
  if (mm === 0) return frames;
  const root = Mm.page_table.get(mm) as FrameAddr;
  const gpr = CpuState.gpr.at(current_cpu) >>> 3;
  let below = Number(U64[gpr + RSP] as bigint);
  let frame = Number(U64[gpr + RBP] as bigint);
  const caller = frameless_return(root, frames[0] as number, below);
  if (caller !== 0) frames.push(caller);
  while (frames.length < MAX_FRAMES && frame >= below && frame - below <= MAX_FRAME_BYTES) {
    const address = peek_u64(root, frame + 8);
    if (address === 0 || !follows_call(root, address)) break;
    frames.push(address);
    below = frame + 16;
    frame = peek_u64(root, frame);
  }
  return frames;
}

/** The blocks that a vCPU's translator has translated: their frames and offsets. */
export class TranslatedBlocks implements RegionObserver {
  readonly counted = false;
  private readonly blocks = new Set<number>();

  now(): number {
    return 0;
  }

  made(region: Region): void {
    for (const { rip } of region.blocks)
      this.blocks.add((region.pages.get(Math.floor(rip / PAGE)) as number) + (rip % PAGE));
  }

  /** Whether the code at a machine address has been translated. */
  has(at: number): boolean {
    return this.blocks.has(at);
  }
}

/** Collects samples of one vCPU on one thread. */
export class Profiler {
  readonly blocks = new TranslatedBlocks();
  private readonly vcpu: number;
  private readonly area: ProfileArea;
  private readonly nodes: ProfileNode[] = [];
  private readonly children = new Map<string, number>();
  private readonly processes = new Map<number, number>();
  private samples: number[] = [];
  private times: number[] = [];

  constructor(vcpu: number, area: SharedArrayBuffer) {
    this.vcpu = vcpu;
    this.area = new ProfileArea(area);
  }

  /** Notes what the sampler has found since the last time. The caller holds no lock and is not in guest mode. */
  readonly sample = (): void => {
    const { area, vcpu } = this;
    this.note(area.take(vcpu, STATE_IDLE), () => this.child(-1, 'state', 'idle'));
    this.note(area.take(vcpu, STATE_TRANSLATOR), () => this.child(this.process(), 'state', 'translator'));
    for (let call = 0; call < PROFILED_CALLS; call++)
      this.note(area.take(vcpu, STATE_CALLS + call), () => this.child(this.caller(), 'call', String(call)));
    this.note(area.take(vcpu, STATE_GUEST), () => (current === 0 ? this.process() : this.stack(true)));
  };

  private note(microseconds: number, node: () => number): void {
    if (microseconds === 0) return;
    this.samples.push(node());
    this.times.push(microseconds);
    if (this.samples.length >= MAX_SAMPLES) this.sum_up();
  }

  /** Forgets the order of the samples. */
  private sum_up(): void {
    const sums = new Map<number, number>();
    this.samples.forEach((node, i) => {
      sums.set(node, (sums.get(node) ?? 0) + (this.times[i] as number));
    });
    this.samples = [...sums.keys()];
    this.times = [...sums.values()];
  }

  private child(parent: number, kind: ProfileNode['kind'], text: string, place: CodePlace | null = null): number {
    const key = `${parent} ${kind} ${text} ${place?.offset} ${place?.path}`;
    let node = this.children.get(key);
    if (node === undefined) {
      node = this.nodes.push({ parent, kind, text, place }) - 1;
      this.children.set(key, node);
    }
    return node;
  }

  /** The node of the running process. */
  private process(): number {
    if (current === 0) return this.child(-1, 'process', '(no process)');
    const tid = Task.tid.get(current);
    const node = this.child(-1, 'process', `${task_comm(current)} [${tid}]`);
    this.processes.set(tid, node);
    return node;
  }

  /** The stack of whoever made the last system call, as far as it is known. */
  private caller(): number {
    const tid = this.area.tid(this.vcpu);
    if (current !== 0 && Task.tid.get(current) === tid) return this.stack(false);
    return this.processes.get(tid) ?? this.child(-1, 'process', `[${tid}]`);
  }

  /** The running task's stack; `how` tells whether its innermost function is translated. */
  private stack(how: boolean): number {
    const frames = walk_stack();
    let node = this.process();
    for (let i = frames.length - 1; i > 0; i--)
      // Of a call, not of what comes after it.
      node = this.child(node, 'code', '', code_place((frames[i] as number) - 1));
    const rip = frames[0] as number;
    const mm = Task.mm.get(current);
    const at = mm === 0 ? 0 : peek(Mm.page_table.get(mm) as FrameAddr, rip);
    const tier = this.blocks.has(at) ? 'translated' : 'interpreted';
    return this.child(node, 'code', how ? tier : '', code_place(rip));
  }

  /** Everything seen so far. */
  part(): ProfilePart {
    // What is left is of nobody that could be asked.
    this.note(this.area.take(this.vcpu, STATE_IDLE), () => this.child(-1, 'state', 'idle'));
    return { vcpu: this.vcpu, nodes: this.nodes, samples: this.samples, times: this.times };
  }
}
