/**
 * A machine with a name space, a kernel and one root task that is current on vCPU 0, for tests of what
 * lies above tasks. Its clock is virtual and its random numbers are seeded.
 */
import type { Ptr } from '../../engine/base/types.ts';
import { tmpfs_create } from '../../engine/fs/tmpfs/memory_super.ts';
import { set_current } from '../../engine/kernel/current.ts';
import { files_create } from '../../engine/kernel/files.ts';
import { boot_ipc } from '../../engine/kernel/ipc/ids.ts';
import { boot_kernel } from '../../engine/kernel/kernel.ts';
import { boot_scheduler } from '../../engine/kernel/scheduler.ts';
import { Task } from '../../engine/kernel/task.layout.ts';
import { create_root_task, set_task_comm } from '../../engine/kernel/task.ts';
import { vcpu_at } from '../../engine/machine/vcpu.layout.ts';
import { mm_activate, mm_create } from '../../engine/mm/address_space.ts';
import { boot_time } from '../../engine/time/clock.ts';
import { fs_context_get } from '../../engine/vfs/fs_context.ts';
import { test_machine } from './mm.ts';
import { boot_vfs, make_credentials, TestSpace } from './vfs.ts';

export interface TestKernel {
  readonly space: TestSpace;
  readonly task: Ptr<'Task'>;
  readonly mm: Ptr<'Mm'>;
  readonly files: Ptr<'Files'>;
}

/** Boots the machine on an empty tmpfs. */
export function test_kernel(): TestKernel {
  test_machine();
  boot_vfs();
  boot_time({ clock: 'virtual', seed: 7 });
  boot_kernel();
  boot_ipc();
  boot_scheduler();
  const space = new TestSpace(tmpfs_create({}) as Ptr<'SuperBlock'>);
  const mm = mm_create();
  mm_activate(mm, vcpu_at(0));
  const files = files_create();
  const fs = fs_context_get(space.context.fs);
  const task = create_root_task({ mm, files, fs, credentials: make_credentials(0, 0) });
  set_task_comm(task, 'test');
  set_current(task, Task.cpu.get(task), vcpu_at(0));
  return { space, task, mm, files };
}
