/**
 * The command `tvisor` with a kernel that breaks, for tests of what a user then sees. Everything but the break is the
 * command's own code. How is in TVISOR_BREAK:
 *
 *   uname    the system call uname(2) finds an invariant broken, on the thread that makes it
 *   memory   once a thread runs the first vCPU, the first program's address space record is overwritten and the
 *            program killed: the thread finds the damage
 */
import type { Ptr } from '../../engine/base/types.ts';

async function break_uname(): Promise<void> {
  // Before the dispatcher, which reads the table when it is loaded.
  const { SYSCALLS } = await import('../../engine/syscalls/table.ts');
  const { panic } = await import('../../engine/base/assert.ts');
  const at = SYSCALLS.findIndex((row) => row?.name === 'uname');
  const row = SYSCALLS[at];
  if (row === undefined) throw new Error('no uname in the table');
  const broken_handler = (): number => panic('broken on purpose');
  (SYSCALLS as (typeof row)[])[at] = { ...row, handler: broken_handler };
}

async function break_memory(): Promise<void> {
  const { Machine } = await import('../../engine/runtime/machine.ts');
  const { find_task } = await import('../../engine/kernel/pid.ts');
  const { Task } = await import('../../engine/kernel/task.layout.ts');
  const { Mm } = await import('../../engine/mm/mm.layout.ts');
  const create = Machine.create.bind(Machine);
  Machine.create = async (options) => {
    const machine = await create(options);
    const inside = machine as unknown as { enter(): void; running: ReadonlyMap<number, unknown>; inline: unknown };
    const timer = setInterval(() => {
      const [pid] = inside.running.keys();
      if (pid === undefined || inside.inline !== null) return;
      clearInterval(timer);
      inside.enter();
      Mm.refs.store(Task.mm.get(find_task(pid)) as Ptr<'Mm'>, 0);
      machine.kill('SIGKILL');
    }, 10);
    return machine;
  };
}

await (process.env.TVISOR_BREAK === 'uname' ? break_uname() : break_memory());
const { run } = await import('../../bin/cli.ts');
run();
