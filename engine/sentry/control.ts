/**
 * The control plane's end on a vCPU's thread. The thread is inside its run loop, where no message reaches it, so a
 * call has two parts:
 *
 *   caller  ask_vcpu counts the call (Vcpu.control_asked), interrupts the vCPU and wakes it; then the message goes out
 *   thread  run_vcpu returns RUN_INTERRUPTED; the event loop serves messages until as many calls were served
 *           (Vcpu.control_served) as were asked and nobody holds the vCPU; then it runs on
 *
 * Between calls a vCPU is between two instructions, in no address space, with no lock held. While it is held it stays
 * so, and still serves calls.
 */
import { drop_thread_caches } from '../base/caches.ts';
import type { Ptr } from '../base/types.ts';
import { ring_doorbell } from '../kernel/scheduler.ts';
import { tlb_flush_all } from '../machine/tlb.ts';
import { INTERRUPT_STOP, Vcpu, vcpu_at } from '../machine/vcpu.layout.ts';
import type { Platform } from '../platform/platform.ts';
import type { VcpuObservers } from './observers.ts';
import type { ProfilePart } from './profiler.ts';
import type { RegionsAnswer, RegionsRequest } from './region_log.ts';
import { type VcpuStatistics, vcpu_statistics } from './statistics.ts';

/** What can be asked of a vCPU's thread. */
export interface VcpuCalls {
  statistics(): VcpuStatistics;
  /** The regions that its translator made; null where nobody asked to look at them. */
  regions(request: RegionsRequest): RegionsAnswer | null;
  /** What the thread has seen of its vCPU; null where nobody asked for a profile. */
  profile(): ProfilePart | null;
  /** Drops every cache of the thread; nothing changes but the time things take. */
  drop_caches(): void;
  /** Keeps the vCPU off the machine until as many calls of `release`. */
  hold(): void;
  release(): void;
}

/** Brings the thread of vCPU `index` back to its event loop for one call, whose message follows. */
export function ask_vcpu(index: number): void {
  const vcpu = vcpu_at(index);
  Vcpu.control_asked.add(vcpu, 1);
  Vcpu.interrupt.or(vcpu, INTERRUPT_STOP);
  ring_doorbell(index);
}

/** Serves calls on the thread of one vCPU. */
export class VcpuControl implements VcpuCalls {
  private readonly vcpu: Ptr<'Vcpu'>;
  private readonly platform: Platform;
  private readonly thread: VcpuStatistics['thread'];
  private readonly observers: VcpuObservers;
  private holds = 0;
  private wake: (() => void) | null = null;

  /** The machine is bound, and stays so on this thread while calls are served. */
  constructor(index: number, platform: Platform, thread: VcpuStatistics['thread'], observers: VcpuObservers) {
    this.observers = observers;
    this.vcpu = vcpu_at(index);
    this.platform = platform;
    this.thread = thread;
  }

  statistics(): VcpuStatistics {
    return vcpu_statistics(Vcpu.index.get(this.vcpu), this.thread, this.platform.statistics(this.vcpu));
  }

  regions(request: RegionsRequest): RegionsAnswer | null {
    return this.observers.log?.answer(request) ?? null;
  }

  profile(): ProfilePart | null {
    return this.observers.profiler?.part() ?? null;
  }

  drop_caches(): void {
    // The thread may be no vCPU at the moment.
    tlb_flush_all(this.vcpu);
    this.platform.drop_caches(this.vcpu);
    drop_thread_caches();
  }

  hold(): void {
    this.holds++;
  }

  release(): void {
    if (this.holds > 0) this.holds--;
  }

  /** Whether somebody holds the vCPU. */
  held(): boolean {
    return this.holds > 0;
  }

  /** A call's answer is on its way to the caller. */
  served(): void {
    Vcpu.control_served.add(this.vcpu, 1);
    this.wake?.();
  }

  /** Resolves when every call asked so far was served and nobody holds the vCPU: it may run. */
  async settled(): Promise<void> {
    while (this.held() || Vcpu.control_served.load(this.vcpu) !== Vcpu.control_asked.load(this.vcpu))
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    this.wake = null;
  }
}
