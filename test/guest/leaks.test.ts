/**
 * What programs took is back when they have ended: after each of them, once caches are given up, every record class,
 * every frame and every page of the kernel heap is at the count that it had at boot.
 */
import { existsSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine, type RunOptions, type TvisorError } from '../../engine/index.ts';
import { quiet_counts } from '../support/counts.ts';
import { compile, native_host } from '../support/guest.ts';

const PYTHON = '/usr/bin/python3';

/** Shell scripts. */
const SCRIPTS: Readonly<Record<string, string>> = {
  pipelines: 'seq 1 500 | sort -rn | (head -3; cat >/dev/null); yes | head -1000 | wc -l; echo $(echo $(echo nested))',
  files:
    'mkdir /tmp/d; cd /tmp/d; for i in 1 2 3; do echo $i > $i; done; ln -s $(printf %0300d 1) long; ln 1 hard; cat ?; ' +
    'mkfifo p; cat p & echo x > p; wait; truncate -s 10M sparse; mv 1 one; cd ..; rm -r d',
  'an open file without a name': 'exec 3>/tmp/f; rm /tmp/f; echo data >&3; sleep 0.01',
  'a changed copy of a program': 'cp /bin/ls /tmp/ls; /tmp/ls /bin/ls; echo >> /tmp/ls; rm /tmp/ls',
  'killed children': 'sleep 100 & kill -9 $!; (while :; do :; done) & kill -9 $!; wait',
  orphans: '(sleep 0.05; echo late) & (sleep 100 | cat) & exit 3',
  'stopped children': 'sleep 100 & kill -STOP $!; exit',
  'a session of its own': 'setsid sleep 0.02 & setsid sh -c "exit 4"; wait',
  'failed execs':
    'nope; /etc/passwd; echo "#!/nope" > /tmp/s; chmod +x /tmp/s; /tmp/s; printf "\\177ELF" > /tmp/s; /tmp/s; rm /tmp/s',
  timeout: 'timeout 0.05 sleep 10; timeout -s KILL 0.05 sh -c "while :; do :; done"',
  procfs: 'ls -R /proc/self /sys /dev; cat /proc/self/maps /proc/meminfo /proc/mounts; cat /proc/*/stat',
  'here documents': 'cat << end\n$(seq 1 2000)\nend',
  'a full pipe': 'yes | (sleep 0.05; exit)',
};

/** C programs: threads, maps of files, epoll, timers, signals, process trees. */
const PROGRAMS = [
  'pthreads',
  'shared_mutex',
  'mmap_games',
  'poll_epoll',
  'polling',
  'timers',
  'sleeps',
  'signals',
  'signal_storm',
  'fork_tree',
  'process_tree',
  'jobs',
  'exec_games',
  'exec_kinds',
  'file_ops',
  'pipeline',
  'segv_fix',
];

const PYTHON_PROGRAM = `
import mmap, os, select, signal, subprocess, tempfile, threading
threads = [threading.Thread(target=lambda: sum(range(1000))) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
with tempfile.TemporaryFile() as f:
    f.truncate(1 << 20)
    m = mmap.mmap(f.fileno(), 0)
    m[5] = 7; m.flush()
poll = select.epoll(); r, w = os.pipe(); poll.register(r, select.EPOLLIN)
os.write(w, b'x'); assert poll.poll(1)
signal.setitimer(signal.ITIMER_REAL, 100)
print(subprocess.run(['sh', '-c', 'echo sub'], capture_output=True).stdout)
pid = os.fork()
if pid == 0: os._exit(3)
os.waitpid(pid, 0)
`;

async function fails(run: Promise<unknown>, status: number): Promise<void> {
  await run.then(
    () => assert.unreachable(),
    (error: TvisorError) => assert.is(error.status, status),
  );
}

/** Looks often enough for a vCPU whose thread a loaded host has put aside in the middle of an end: a leak stays. */
const MOST_LOOKS = 100;

/** The machine's counts, once they are those of `boot`, or at last. */
async function counts_like(machine: Machine, boot: Record<string, number>): Promise<Record<string, number>> {
  for (let looks = 1; ; looks++) {
    const counts = await quiet_counts(machine);
    if (looks === MOST_LOOKS || JSON.stringify(counts) === JSON.stringify(boot)) return counts;
  }
}

/** Calls `check` after each program with its name. What it left in the file tree is no leak: it is removed before. */
async function run_all(machine: Machine, check: (name: string) => Promise<void>): Promise<void> {
  const run = async (name: string, argv: readonly string[], options: RunOptions = {}): Promise<void> => {
    await machine.run(argv, options);
    await machine.run(['sh', '-c', 'rm -rf /tmp/*']);
    await check(name);
  };
  for (const [name, script] of Object.entries(SCRIPTS)) await run(name, ['sh', '-c', script]);
  for (const name of PROGRAMS) await run(name, [compile(name, name === 'exec_games' ? 'dynamic' : 'static')]);
  if (existsSync(PYTHON)) await run('python3', [PYTHON, '-c', PYTHON_PROGRAM]);
  await run('a limit of time', ['sh', '-c', 'while :; do :; done | sleep 100'], { timeout: 100 });
  await run('a terminal', ['sh', '-c', 'stty -a; cat'], { terminal: { rows: 24, columns: 80, input: 'line\n\x04' } });
  await run('input not read', ['true'], { stdin: 'x'.repeat(1 << 20) });
  await fails(machine.run(['no-such-command']), 127);
  await fails(machine.run(['/etc/passwd']), 126);
  await fails(machine.run(['true'], { cwd: '/no/such/place' }), 125);
  await check('failures to start');
  await Promise.all([1, 2, 3].map(() => machine.run(['sh', '-c', SCRIPTS.pipelines as string])));
  await check('programs side by side');
}

if (!native_host()) test('nothing to run on this host', () => {});
else
  for (const vcpus of [0, 1, 2])
    test(`every count is back at boot after each program, ${vcpus === 0 ? 'inline' : `${vcpus} vCPU`}`, async () => {
      const machine = await Machine.create({ vcpus, memory: 256 << 20, clock: vcpus === 0 ? 'virtual' : 'real' });
      try {
        const boot = await quiet_counts(machine);
        await run_all(machine, async (name) => assert.equal(await counts_like(machine, boot), boot, name));
      } finally {
        await machine.close();
      }
    });

test.run();
