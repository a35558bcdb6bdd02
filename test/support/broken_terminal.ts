/**
 * A program of its own: runs `cat` on the caller's terminal and breaks the machine's kernel once a line was shown,
 * then lets the error end the process (argument 'throw') or ends it at once ('exit').
 */
import type { Ptr } from '../../engine/base/types.ts';
import { Machine } from '../../engine/index.ts';
import { find_task } from '../../engine/kernel/pid.ts';
import { Task } from '../../engine/kernel/task.layout.ts';
import { Mm } from '../../engine/mm/mm.layout.ts';

interface Inside {
  enter(): void;
  readonly running: ReadonlyMap<number, unknown>;
}

const machine = await Machine.create({ vcpus: 1, memory: 64 << 20 });
const inside = machine as unknown as Inside;
setTimeout(() => {
  if (process.argv[2] === 'exit') process.exit(3);
  inside.enter();
  const [pid = 0] = inside.running.keys();
  Mm.refs.store(Task.mm.get(find_task(pid)) as Ptr<'Mm'>, 0);
  machine.kill('SIGKILL');
}, 1500);
await machine.run(['sh', '-c', 'stty -echo; echo broken soon; cat'], {
  env: { PATH: '/usr/bin:/bin' },
  terminal: { rows: 24, columns: 80, input: 'inherit', output: 'inherit' },
});
