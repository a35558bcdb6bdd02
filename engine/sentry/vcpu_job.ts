/**
 * A worker thread as a vCPU: the job that the pool starts once for each. It runs the machine's tasks until the machine
 * ends, and returns to its event loop in between only to serve calls of the control plane (sentry/control.ts).
 */
import { type Port, serve_calls } from '../host/control.ts';
import { open_trace } from '../host/trace_sink.ts';
import { compile_region } from '../host/tuning.ts';
import { create_platform, type PlatformName } from '../platform/create.ts';
import { set_syscall_tracer } from '../syscalls/dispatch.ts';
import { make_tracer } from '../trace/strace.ts';
import { VcpuControl } from './control.ts';
import { take_over } from './hand_over.ts';
import { enter_machine } from './machine.ts';
import { make_observers, type ObserverRequest } from './observers.ts';
import { platform_hooks, RUN_INTERRUPTED, run_vcpu, set_profiler } from './run.ts';

export interface VcpuTask extends ObserverRequest {
  readonly memory: WebAssembly.Memory;
  /** The interpreter, compiled. */
  readonly module: WebAssembly.Module;
  readonly platform: PlatformName;
  readonly index: number;
  /** The host's thread runs this vCPU until now. */
  readonly takes_over: boolean;
  /** '' off, '-' stderr, else a host file. */
  readonly strace: string;
  /** Where calls of the control plane come from. */
  readonly port: Port;
}

/** Runs vCPU `index` until its machine ends; answers why (RUN_*). Calls are served after that too. */
export async function vcpu_job(task: VcpuTask): Promise<number> {
  enter_machine(task.memory);
  if (task.strace !== '') set_syscall_tracer(make_tracer(open_trace(task.strace)));
  const observers = make_observers(task.index, task);
  set_profiler(observers.profiler?.sample ?? null);
  const platform = create_platform(
    task.platform,
    task.module,
    task.memory,
    platform_hooks,
    observers.regions,
    compile_region,
  );
  const control = new VcpuControl(task.index, platform, 'worker', observers);
  await serve_calls(task.port, control, ['statistics', 'regions', 'profile', 'drop_caches', 'hold', 'release'], () =>
    control.served(),
  );
  if (task.takes_over) take_over(task.index);
  for (;;) {
    await control.settled();
    const why = run_vcpu(task.index, platform, true);
    if (why !== RUN_INTERRUPTED) return why;
  }
}
