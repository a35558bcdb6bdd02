/** Programs on a terminal: the line discipline, jobs, windows and pseudo-terminals as users meet them. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../engine/index.ts';
import { compile, native_host, REPOSITORY } from '../support/guest.ts';

const TVISOR = join(REPOSITORY, 'dist', 'bundle', 'tvisor.cjs');
const ENV = { PATH: '/usr/bin:/bin', TERM: 'dumb', PS1: '$ ', HOME: '/nonexistent' };

async function with_machine(vcpus: number, use: (machine: Machine) => Promise<void>): Promise<void> {
  const machine = await Machine.create({ vcpus, memory: 256 << 20 });
  try {
    await use(machine);
  } finally {
    await machine.close();
  }
}

/** Someone at a terminal: types, and reads what is shown. */
class Dialogue {
  readonly input = new PassThrough();
  readonly output = new PassThrough();
  private shown = '';
  private awaited: (() => void) | null = null;

  constructor() {
    this.output.on('data', (chunk: Buffer) => {
      this.shown += chunk.toString('latin1');
      this.awaited?.();
    });
  }

  /** Resolves when `text` is shown; everything up to its end is taken away and answered. */
  async expect(text: string): Promise<string> {
    for (;;) {
      const at = this.shown.indexOf(text);
      if (at >= 0) {
        const before = this.shown.slice(0, at + text.length);
        this.shown = this.shown.slice(at + text.length);
        return before;
      }
      await new Promise<void>((resolve) => {
        this.awaited = resolve;
      });
    }
  }

  type(text: string): void {
    this.input.write(text);
  }
}

/** The terminal's settings, and the status of a command that test/guest/terminal/drive.c runs. */
function drive(steps: readonly string[], command: readonly string[]): { shown: string; end: string } {
  const { stdout } = spawnSync(compile('terminal/drive', 'dynamic'), [...steps, '--', process.execPath, ...command], {
    encoding: 'latin1',
    timeout: 90_000,
  });
  const at = stdout.lastIndexOf('\nstatus ');
  return { shown: stdout, end: stdout.slice(at + 1).trim() };
}

function on_terminal(steps: readonly string[], command: readonly string[], end: string): void {
  const result = drive(steps, command);
  assert.is(result.end, end, result.shown);
}

if (!native_host()) test('nothing to run on this host', () => {});
else {
  for (const vcpus of [0, 2]) {
    const where = vcpus === 0 ? 'inline' : `${vcpus} vCPUs`;

    test(`a typed text is echoed and read, ${where}`, () =>
      with_machine(vcpus, async (machine) => {
        const script = 'tty; stty size; read x; echo "got $x"; tty </dev/tty';
        const result = await machine.run(['sh', '-c', script], {
          env: ENV,
          terminal: { rows: 33, columns: 77, input: 'hexx\x7f\x7fllo\n' },
        });
        const echo = 'hexx\b \b\b \bllo\r\n';
        assert.is(result.stdout, `/dev/pts/0\r\n33 77\r\n${echo}got hello\r\n/dev/tty\r\n`);
      }));

    test(`what is no terminal is a stream, ${where}`, () =>
      with_machine(vcpus, async (machine) => {
        const script = 'cat; test -t 0; echo $?; test -t 1; echo $?; test -t 2; echo $?; echo screen >&2';
        const terminal = { rows: 24, columns: 80 };
        const piped = await machine.run(['sh', '-c', script], { env: ENV, terminal, stdin: 'piped\n' });
        assert.is(piped.stdout, 'piped\r\n1\r\n0\r\n0\r\nscreen\r\n');
        const kept = new PassThrough();
        const shown = machine.run(['sh', '-c', script], {
          env: ENV,
          stdin: null,
          stdout: 'pipe',
          terminal: { ...terminal, output: kept },
        });
        assert.is((await shown).stdout, '1\n1\n0\n');
        assert.is(kept.read().toString(), 'screen\r\n');
      }));
  }

  test('jobs: keys stop and end what is in front, and the shell goes on', () =>
    with_machine(2, async (machine) => {
      const user = new Dialogue();
      const ended = machine.run(['bash', '--norc', '--noprofile', '-i'], {
        env: ENV,
        terminal: { rows: 24, columns: 80, input: user.input, output: user.output },
      });
      await user.expect('$ ');
      user.type('sleep 1000\n');
      await user.expect('sleep 1000\r\n');
      // The key may come before the shell has started the program: then only a new prompt is shown.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      user.type('\x1a');
      await user.expect('Stopped');
      user.type('jobs; fg\n');
      await user.expect('fg\r\n');
      await user.expect('sleep 1000\r\n');
      await new Promise((resolve) => setTimeout(resolve, 500));
      user.type('\x03');
      await user.expect('^C');
      user.type('echo status=$?\n');
      await user.expect('status=130\r\n');
      machine.resize(50, 120);
      user.type('stty size\n');
      await user.expect('50 120\r\n');
      user.type('exit 7\n');
      assert.is((await ended).exitCode, 7);
    }));

  test('a terminal that goes away ends the session', () =>
    with_machine(1, async (machine) => {
      const user = new Dialogue();
      const ended = machine.run(['sh', '-c', 'echo ready; cat; sleep 1000'], {
        env: ENV,
        terminal: { rows: 24, columns: 80, input: user.input, output: user.output },
      });
      await user.expect('ready');
      user.input.end();
      assert.is((await ended).signal, 'SIGHUP');
    }));

  test('more than a terminal holds is typed without loss', () =>
    with_machine(2, async (machine) => {
      const lines = Array.from({ length: 3000 }, (_, i) => `line ${i}\n`).join('');
      const script = 'stty -echo; echo; wc -c; md5sum </dev/null';
      const result = await machine.run(['sh', '-c', script], {
        env: ENV,
        terminal: { rows: 24, columns: 80, input: `${lines}\x04` },
      });
      assert.ok(result.stdout.includes(`${lines.length}\r\n`), result.stdout.slice(-200));
    }));

  test('pseudo-terminals in the guest', () =>
    with_machine(2, async (machine) => {
      if (spawnSync('script', ['--version']).status !== 0) return;
      const command = 'tty; stty -echo; stty size; ls /dev/pts; read x; echo "<$x>"; exit 9';
      const result = await machine.run(['script', '-qec', command, '/dev/null'], { env: ENV, stdin: 'typed\n' });
      assert.match(result.stdout, /^(typed\r\n)?\/dev\/pts\/0\r\n\d+ \d+\r\n0 +ptmx\r\n(typed\r\n)?<typed>\r\n$/);
      assert.is(result.exitCode, 9);
      const after = await machine.run(['ls', '/dev/pts']);
      assert.is(after.stdout, 'ptmx\n');
    }));

  test('tvisor do on a terminal', () => {
    if (spawnSync('script', ['--version']).status !== 0) return;
    const inner = 'stty -echo; read x; tty; stty size; echo \\<$x\\>; exit 5';
    const command = `stty rows 31 cols 99; '${process.execPath}' '${TVISOR}' do -- sh -c '${inner}'; s=$?; stty -a; exit $s`;
    const { stdout, status } = spawnSync('script', ['-qec', command, '/dev/null'], {
      input: 'typed\n',
      encoding: 'latin1',
      timeout: 60_000,
    });
    assert.ok(stdout.includes('/dev/pts/0\r\n31 99\r\n<typed>\r\n'), stdout);
    // The caller's terminal is as it was.
    assert.match(stdout, / icanon /);
    assert.match(stdout, /\bopost\b/);
    assert.not.match(stdout, /-opost|-icanon|-isig/);
    assert.is(status, 5);
  });

  const jobs = (raw: readonly string[]): string[] => [TVISOR, 'do', '--', compile('pty', 'static'), 'leader', ...raw];
  const up = ['expect:numbers 0 1 1', 'expect: up', 'expect: up'];

  for (const raw of [[], ['settings']])
    test(`keys and windows are for the guest's foreground, ${raw[0] ?? 'which has not looked at its terminal'}`, () => {
      // The caller's own shell keeps Ctrl-Z until a program turns to the terminal.
      const stop = raw.length === 0 ? [] : ['type:\x1a', 'expect:stopped by 20, front 1'];
      const steps = [...up, 'type:\x03', 'expect:ahead signal 2', 'type:\x1c', 'expect:ahead signal 3'];
      const all = [...steps, 'size:40,100', 'expect:ahead signal 28', ...stop, 'type:\x03', 'expect:ended by 2'];
      const { shown, end } = drive(all, jobs(raw));
      assert.is(end, 'status 3, settings kept', shown);
      assert.not.match(shown, /behind signal/);
    });

  const reading = ['do', '--', 'sh', '-c', 'stty -echo; echo up; read x; exit $x'];
  const stubborn = ['do', '--', 'sh', '-c', 'trap "" TERM; stty -echo; echo up; while :; do sleep 1; done'];
  const broken = join(REPOSITORY, 'dist', 'test', 'support', 'broken_terminal.js');
  const ends: Readonly<Record<string, [readonly string[], readonly string[], string]>> = {
    'the program ends': [['expect:up', 'type:7\r'], [TVISOR, ...reading], 'status 7'],
    'the program is killed': [['expect:up', 'type:\x03'], [TVISOR, ...reading], 'status 130'],
    'SIGTERM ends the program': [['expect:up', 'kill:15'], [TVISOR, ...reading], 'status 143'],
    'SIGHUP ends the program': [['expect:up', 'kill:1'], [TVISOR, ...reading], 'status 129'],
    'SIGTERM ends tvisor': [
      ['expect:up', 'kill:15', 'wait:300', 'kill:15', 'wait:300', 'kill:15'],
      [TVISOR, ...stubborn],
      'status 143',
    ],
    'the kernel breaks': [['expect:broken soon'], [broken, 'throw'], 'status 1'],
    'the process exits': [['expect:broken soon'], [broken, 'exit'], 'status 3'],
  };
  for (const [what, [steps, command, status]] of Object.entries(ends))
    test(`the caller's terminal is restored when ${what}`, () =>
      on_terminal(steps, command, `${status}, settings kept`));
}

test.run();
