import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ptr } from '../../../../engine/base/types.ts';
import { heap_page_alloc } from '../../../../engine/heap/heap_pages.ts';
import { bind_memory, U8 } from '../../../../engine/heap/memory.ts';
import { register_code_invalidation } from '../../../../engine/machine/code_events.ts';
import { CpuState } from '../../../../engine/machine/cpu.layout.ts';
import { enter_guest, leave_guest, safe_point } from '../../../../engine/machine/safe_point.ts';
import { set_this_vcpu } from '../../../../engine/machine/this_vcpu.ts';
import { register_translation_flush, tlb_init } from '../../../../engine/machine/tlb.ts';
import { Vcpu, vcpu_at } from '../../../../engine/machine/vcpu.layout.ts';
import { create_interpreter } from '../../../../engine/platform/interp/interp.ts';
import { EXIT_FUEL, EXIT_INTERRUPT, EXIT_SYSCALL, type Platform } from '../../../../engine/platform/platform.ts';
import { ALL, DATA, GuestCode, hex, interpreter_module } from '../../../support/guest_code.ts';

/** Runs guest code to its system call, taking requests on the way as the run loop does. */
function run_to_end(platform: Platform, cpu: Ptr<'CpuState'>, vcpu: Ptr<'Vcpu'>, rip: number): number {
  CpuState.rip.set(cpu, rip);
  for (;;) {
    Vcpu.fuel.set(vcpu, 10_000);
    safe_point(vcpu);
    enter_guest(vcpu);
    const reason = platform.switch_to(cpu, vcpu);
    leave_guest(vcpu);
    if (reason !== EXIT_FUEL && reason !== EXIT_INTERRUPT) return reason;
  }
}

interface Job {
  memory: WebAssembly.Memory;
  module: WebAssembly.Module;
  root: number;
  cpu: number;
  rip: number;
}

function second_vcpu(job: Job): void {
  bind_memory(job.memory);
  const cpu = job.cpu as Ptr<'CpuState'>;
  const vcpu = vcpu_at(1);
  set_this_vcpu(vcpu);
  Vcpu.index.set(vcpu, 1);
  Vcpu.page_table.set(vcpu, job.root);
  tlb_init(vcpu);
  const platform = create_interpreter(job.module, job.memory, { syscall: () => 1, fault: () => 1, tsc: () => 0 });
  register_translation_flush((flushed) => platform.flush_translations(flushed));
  register_code_invalidation({
    frame: (frame) => platform.invalidate_frame(frame),
    all: () => platform.drop_caches(vcpu),
  });
  process.exitCode = run_to_end(platform, cpu, vcpu, job.rip) === EXIT_SYSCALL ? 0 : 1;
}

/** Runs the code at `first` here and at `second` on another thread. */
async function run_both(g: GuestCode, first: number, second: number): Promise<void> {
  const cpu = heap_page_alloc() as Ptr<'CpuState'>;
  U8.copyWithin(cpu, g.cpu, g.cpu + CpuState.SIZE);
  const root = Vcpu.page_table.get(g.vcpu);
  const job: Job = { memory: g.memory, module: interpreter_module(), root, cpu, rip: second };
  const worker = new Worker(new URL(import.meta.url), { workerData: job });
  const done = new Promise<number>((resolve) => worker.on('exit', resolve));
  await new Promise((resolve) => worker.on('online', resolve));
  assert.is(run_to_end(g.platform, g.cpu, g.vcpu, first), EXIT_SYSCALL);
  // The worker may ask this vCPU to flush until it is done; outside guest mode nobody waits for it.
  assert.is(await done, 0);
}

const PAGE = 0x50_0000;

if (!isMainThread) second_vcpu(workerData as Job);
else {
  test('locked additions of two vCPUs lose nothing, aligned or not', async () => {
    const g = new GuestCode();
    g.map(PAGE, 1, ALL);
    // mov ecx, 20000; L: lock inc qword [rdi]; lock add dword [rdi+4093], 1; lock xadd [rdi+8193], eax...; dec ecx; jnz L
    const loop = 'b9204e0000 f048ff07 f08387fd0f000001 f0ff8701200000 ffc9 75e9 0f05';
    g.write(PAGE, hex(loop));
    g.set('rdi', BigInt(DATA));
    await run_both(g, PAGE, PAGE);
    assert.is(g.read_u64(DATA), 40000n);
    assert.is(g.read_u64(DATA + 4093) & 0xffff_ffffn, 40000n);
    assert.is(g.read_u64(DATA + 8193) & 0xffff_ffffn, 40000n);
  });

  test('a vCPU runs what another has written into its code', async () => {
    const g = new GuestCode();
    g.map(PAGE, 2, ALL);
    g.set('rdi', BigInt(PAGE + 4096));
    g.set('rsi', BigInt(DATA));
    // The writer changes the immediate of the function at PAGE + 4096, announces it in [rsi] and waits for the answer
    // in [rsi+8]: mov ecx, 1; L: mov [rdi+1], ecx; mov [rsi], ecx; W: pause; cmp [rsi+8], ecx; jne W; inc ecx;
    // cmp ecx, 300; jne L; syscall
    g.write(PAGE, hex('b901000000 894f01 890e f390 394e08 75f9 ffc1 81f92c010000 75ea 0f05'));
    // The runner: mov ecx, 1; L: cmp [rsi], ecx; pause; jne L; call rdi; mov [rsi+8], eax; inc ecx; cmp ecx, 300;
    // jne L; syscall. A wrong answer leaves the writer waiting.
    g.write(PAGE + 0x100, hex('b901000000 390e f390 75fa ffd7 894608 ffc1 81f92c010000 75eb 0f05'));
    g.write(PAGE + 4096, hex('b800000000 c3'));
    await run_both(g, PAGE, PAGE + 0x100);
    assert.is(g.read_u64(DATA + 8), 299n);
  });

  test.run();
}
