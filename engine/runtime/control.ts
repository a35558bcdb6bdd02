/**
 * The control plane's end in the calling thread: calls to the threads behind a machine's vCPUs, and the hold on all
 * of them. sentry/control.ts has the other end and the protocol.
 */
import { connect_calls, type Far, make_ports, type Port } from '../host/control.ts';
import { ask_vcpu, type VcpuCalls } from '../sentry/control.ts';
import type { ProfilePart } from '../sentry/profiler.ts';
import type { RegionsAnswer, RegionsRequest } from '../sentry/region_log.ts';
import { type VcpuStatistics, vcpu_statistics } from '../sentry/statistics.ts';
import type { InlineVcpu } from './inline.ts';

export class ControlPlane {
  private readonly enter: () => void;
  private readonly inline: () => InlineVcpu | null;
  /** Of vCPU threads that have been started, by vCPU. */
  private readonly threads: Promise<Far<VcpuCalls>>[] = [];
  private readonly ports: Port[] = [];
  /** Ends the calls in progress when no answer will come. */
  private readonly pending = new Set<(error: Error) => void>();
  private ended: Error | null = null;
  private holds = 0;
  private holding: Promise<void> = Promise.resolve();
  private held_threads: readonly number[] = [];
  private waiting: (() => void)[] = [];

  /** `enter` binds the machine; `inline` answers the vCPU that the calling thread runs, if it runs one. */
  constructor(enter: () => void, inline: () => InlineVcpu | null) {
    this.enter = enter;
    this.inline = inline;
  }

  /** The thread of the next vCPU is started: the port it gets. */
  attach(): Port {
    const [near, far] = make_ports();
    const thread = connect_calls<VcpuCalls>(near);
    thread.catch((error: Error) => this.end(error));
    this.threads.push(thread);
    this.ports.push(near);
    return far;
  }

  /** No thread answers any more: calls in progress and later ones reject with `error`; what waits goes on. */
  end(error: Error): void {
    this.ended ??= error;
    for (const reject of this.pending) reject(this.ended);
    this.pending.clear();
    this.run_waiting();
  }

  /** Closes this end of every port. The threads are gone: one that is being started would lose its port on the way. */
  disconnect(): void {
    for (const port of this.ports) port.close();
  }

  /** Counters of `count` vCPUs. */
  async statistics(count: number): Promise<VcpuStatistics[]> {
    const answers = this.each((calls) => calls.statistics());
    const all: (VcpuStatistics | null)[] = await Promise.all(answers);
    this.enter();
    for (let i = 0; i < count; i++) all[i] ??= vcpu_statistics(i, 'none');
    return all as VcpuStatistics[];
  }

  /** What vCPUs tell of their regions; the calling thread's first, if it runs one. */
  async regions(request: RegionsRequest): Promise<RegionsAnswer[]> {
    const answers = this.each((calls) => calls.regions(request));
    const all: (RegionsAnswer | null)[] = await Promise.all(answers);
    return all.filter((answer) => answer !== null);
  }

  /** What vCPUs' threads have seen for a profile; the calling thread's first, if it runs one. */
  async profile(): Promise<ProfilePart[]> {
    const answers = this.each((calls) => calls.profile());
    const all: (ProfilePart | null)[] = await Promise.all(answers);
    return all.filter((part) => part !== null);
  }

  async drop_caches(): Promise<void> {
    await Promise.all(this.each((calls) => calls.drop_caches()));
  }

  /** Whether the machine is, or is about to be, quiescent: nothing may change its memory but who asked for that. */
  get held(): boolean {
    return this.holds > 0;
  }

  /** Resolves when no vCPU runs; they stay off until as many calls of `resume`. No thread is attached meanwhile. */
  quiesce(): Promise<void> {
    if (this.holds++ > 0) return this.holding;
    const inline = this.inline();
    inline?.control.hold();
    this.held_threads = [...this.threads.keys()].filter((index) => index > 0 || inline === null);
    const answers = this.held_threads.map((index) => this.call(index, (far) => far.hold()));
    this.holding = Promise.all(answers).then(() => {});
    return this.holding;
  }

  /** Ends one `quiesce`. Whether it was the last: the machine runs on. */
  resume(): boolean {
    if (this.holds === 0 || --this.holds > 0) return false;
    const inline = this.inline();
    inline?.control.release();
    inline?.wake();
    for (const index of this.held_threads) this.call(index, (far) => far.release()).catch(() => {});
    this.run_waiting();
    return true;
  }

  /** Calls `action` now, or when the machine runs on or has come to its end. */
  when_running(action: () => void): void {
    if (this.held && this.ended === null) this.waiting.push(action);
    else action();
  }

  private run_waiting(): void {
    const actions = this.waiting;
    this.waiting = [];
    for (const action of actions) action();
  }

  /** One call to every vCPU that something runs, at its index. */
  private each<T>(invoke: (calls: VcpuCalls | Far<VcpuCalls>) => T | Promise<T>): Promise<T | null>[] {
    if (this.ended !== null) return [Promise.reject(this.ended)];
    const answers: Promise<T | null>[] = this.threads.map(() => Promise.resolve(null));
    const inline = this.inline();
    if (inline !== null) {
      this.enter();
      answers[0] = Promise.resolve(invoke(inline.control));
    }
    for (const index of this.threads.keys())
      if (index > 0 || inline === null) answers[index] = this.call(index, invoke);
    return answers;
  }

  private async call<T>(index: number, invoke: (far: Far<VcpuCalls>) => T | Promise<T>): Promise<T> {
    const far = await (this.threads[index] as Promise<Far<VcpuCalls>>);
    if (this.ended !== null) throw this.ended;
    this.enter();
    ask_vcpu(index);
    return new Promise<T>((resolve, reject) => {
      this.pending.add(reject);
      Promise.resolve(invoke(far))
        .then(resolve, reject)
        .finally(() => this.pending.delete(reject));
    });
  }
}
