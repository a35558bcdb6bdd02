import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ENOSYS } from '../../../engine/abi/errno.ts';
import { I32 } from '../../../engine/heap/memory.ts';
import { slab } from '../../../engine/heap/slab.ts';
import { set_current } from '../../../engine/kernel/current.ts';
import { Task, WORK_SIGNAL } from '../../../engine/kernel/task.layout.ts';
import { CpuState } from '../../../engine/machine/cpu.layout.ts';
import { vcpu_at } from '../../../engine/machine/vcpu.layout.ts';
import { enter_syscall, SYSCALL_RESUME, SYSCALL_WORK, set_syscall_tracer } from '../../../engine/syscalls/dispatch.ts';
import { test_memory } from '../../support/memory.ts';

function bare_task() {
  test_memory();
  const task = slab(Task).alloc();
  const cpu = slab(CpuState).alloc();
  Task.cpu.set(task, cpu);
  set_current(task, cpu, vcpu_at(0));
  return { task, rax: cpu >> 2 };
}

test('numbers without a call answer ENOSYS in all 64 bits of rax', () => {
  const { task, rax } = bare_task();
  for (const number of [335, 461, 462, 100000, -1, 0x4000_0001, 0x7fff_ffff]) {
    I32[rax] = number;
    I32[rax + 1] = 0;
    assert.is(enter_syscall(), SYSCALL_RESUME);
    assert.is(I32[rax], -ENOSYS);
    assert.is(I32[rax + 1], -1);
    assert.is(Task.syscall_number.get(task), -1);
  }
});

test('pending work is looked at before the guest runs again', () => {
  const { task, rax } = bare_task();
  I32[rax] = 461;
  Task.pending_work.or(task, WORK_SIGNAL);
  assert.is(enter_syscall(), SYSCALL_WORK);
});

test('a tracer sees the call begin and end, and can be removed', () => {
  const { rax } = bare_task();
  const seen: string[] = [];
  set_syscall_tracer({
    enter: (number) => seen.push(`enter ${number}`),
    block: (number) => seen.push(`block ${number}`),
    leave: (number, result) => seen.push(`leave ${number} ${result}`),
  });
  I32[rax] = 461;
  enter_syscall();
  set_syscall_tracer(null);
  I32[rax] = 461;
  enter_syscall();
  assert.equal(seen, ['enter 461', 'leave 461 -38']);
});

test.run();
