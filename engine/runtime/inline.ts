/**
 * The inline vCPU: the thread that owns the machine runs it, a slice of work at a time, between the turns of
 * its event loop. Where no other thread exists, a machine with a virtual clock and a seed is deterministic.
 */
import { host_clock } from '../host/clock.ts';
import { open_trace } from '../host/trace_sink.ts';
import { compile_region } from '../host/tuning.ts';
import { create_platform } from '../platform/create.ts';
import type { Platform } from '../platform/platform.ts';
import { VcpuControl } from '../sentry/control.ts';
import { enter_machine } from '../sentry/machine.ts';
import { make_observers, type ObserverRequest, type VcpuObservers } from '../sentry/observers.ts';
import { platform_hooks, RUN_IDLE, RUN_INTERRUPTED, run_vcpu, set_profiler } from '../sentry/run.ts';
import { set_syscall_tracer } from '../syscalls/dispatch.ts';
import { monotonic_ns, next_deadline_hint } from '../time/clock.ts';
import { make_tracer } from '../trace/strace.ts';
import type { MachineConfig } from './config.ts';

export class InlineVcpu {
  private readonly memory: WebAssembly.Memory;
  private readonly platform: Platform;
  private readonly tracer: ReturnType<typeof make_tracer> | null;
  private readonly ran: () => void;
  /** Who looks at what this thread does. */
  readonly observers: VcpuObservers;
  /** Calls are made of it directly, between turns. */
  readonly control: VcpuControl;
  private immediate: NodeJS.Immediate | null = null;
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;
  /** Nanoseconds of the host's clock spent in turns. */
  busy_ns = 0;

  /** `ran` is called after each turn: streams and ends may have changed. */
  constructor(
    memory: WebAssembly.Memory,
    module: WebAssembly.Module,
    { platform, strace }: Pick<MachineConfig, 'platform' | 'strace'>,
    observed: ObserverRequest,
    ran: () => void,
  ) {
    this.memory = memory;
    this.observers = make_observers(0, observed);
    this.platform = create_platform(platform, module, memory, platform_hooks, this.observers.regions, compile_region);
    this.control = new VcpuControl(0, this.platform, 'caller', this.observers);
    this.tracer = strace === '' ? null : make_tracer(open_trace(strace));
    this.ran = ran;
  }

  /** There may be something to run. */
  wake(): void {
    if (this.stopped || this.immediate !== null || this.control.held()) return;
    this.immediate = setImmediate(() => {
      this.immediate = null;
      this.turn();
    });
  }

  /** Never runs again. */
  stop(): void {
    this.stopped = true;
    if (this.immediate !== null) clearImmediate(this.immediate);
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private turn(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.control.held()) return;
    const start = host_clock.monotonic_ns();
    enter_machine(this.memory);
    set_syscall_tracer(this.tracer);
    set_profiler(this.observers.profiler?.sample ?? null);
    const why = run_vcpu(0, this.platform, false);
    set_syscall_tracer(null);
    set_profiler(null);
    this.busy_ns += host_clock.monotonic_ns() - start;
    if (why === RUN_INTERRUPTED) this.wake();
    else if (why === RUN_IDLE) {
      const next = next_deadline_hint() - monotonic_ns();
      if (next !== Number.POSITIVE_INFINITY)
        this.timer = setTimeout(() => this.wake(), Math.min(Math.max(Math.ceil(next / 1e6), 0), 1 << 30));
    }
    this.ran();
  }
}
