/** `tvisor do` as a user meets it: the built command, spawned, its output and exit status. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GUEST_FILES, native_host, REPOSITORY } from '../support/guest.ts';

const TVISOR = join(REPOSITORY, 'dist', 'bundle', 'tvisor.cjs');

function tvisor(args: readonly string[], input = ''): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [TVISOR, ...args], { input, encoding: 'utf8', maxBuffer: 1 << 29 });
}

/** The command with a kernel that breaks: see support/breaking_cli.ts. */
function broken(how: 'uname' | 'memory', args: readonly string[]): ReturnType<typeof tvisor> {
  const script = join(REPOSITORY, 'dist', 'test', 'support', 'breaking_cli.js');
  const env = { ...process.env, TVISOR_BREAK: how };
  return spawnSync(process.execPath, [script, ...args], { env, input: '', encoding: 'utf8', timeout: 120_000 });
}

test('version and help', () => {
  const version = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')).version;
  assert.is(tvisor(['--version']).stdout, `tvisor version ${version}\nspec: 1.2.0\n`);
  assert.match(tvisor(['help']).stdout, /tvisor do \[flags\]/);
  assert.match(tvisor(['do', '--help']).stdout, /--strace\[=FILE\]/);
  const table = tvisor(['help', 'syscalls']).stdout;
  assert.match(table, /^ {2}0 {2}read +full$/m);
  assert.match(table, /^\d+ full, \d+ partial, \d+ unsupported/m);
});

test("tvisor's own failures are 125, with one line that says what to do", () => {
  for (const args of [
    [],
    ['--nope', 'x'],
    ['--vcpus', 'many', 'true'],
    ['--memory=1T', 'true'],
    ['--volume=x', 'true'],
  ]) {
    const { status, stderr } = tvisor(['do', ...args]);
    assert.is(status, 125, args.join(' '));
    assert.match(stderr, /^tvisor: [^\n]*; [^\n]*\n$/);
  }
  assert.is(tvisor(['frobnicate']).status, 125);
});

if (native_host()) {
  test('exit statuses are those of the command, of signals, and of commands that cannot run', () => {
    assert.is(tvisor(['do', '--', 'sh', '-c', 'exit 3']).status, 3);
    assert.is(tvisor(['do', '--', 'sh', '-c', 'kill -TERM $$']).status, 143);
    const missing = tvisor(['do', '--', 'no-such-command']);
    assert.is(missing.status, 127);
    assert.match(missing.stderr, /^tvisor: no-such-command: not found; [^\n]*\n$/);
    assert.is(tvisor(['do', '--', '/etc/passwd']).status, 126);
    assert.is(tvisor(['do', '--timeout', '300ms', '--', 'sleep', '100']).status, 137);
  });

  test('a kernel panic is 125 with one line, and with --debug its report', () => {
    const line = /^tvisor: kernel panic: broken on purpose; this is a bug in tvisor: [^\n]*\n/;
    const plain = broken('uname', ['do', '--', 'sh', '-c', 'echo before; uname; echo after']);
    assert.is(plain.status, 125);
    assert.not.match(plain.stdout, /after/);
    assert.match(plain.stderr, new RegExp(`${line.source}$`));
    const { status, stderr } = broken('uname', ['do', '--debug', '--', 'sh', '-c', 'uname']);
    assert.is(status, 125);
    assert.match(stderr, line);
    assert.match(stderr, /\ntask \d+ \(uname\) at record 0x[0-9a-f]+, state 0x/);
    assert.match(stderr, /\nsyscall 63 uname\(0x7[0-9a-f]+\), entry 0\nrip 0x[0-9a-f]+, rsp 0x7[0-9a-f]+\n/);
    assert.match(stderr, /\n {4}at .*broken_handler[\s\S]*\n {4}at .*enter_syscall/);
    assert.match(stderr, /\nrecords: .*Task \d/);
  });

  test('a kernel panic on a thread of its own is told likewise', () => {
    const script = 'i=0; while :; do i=$((i+1)); done';
    const { status, stderr } = broken('memory', ['do', '--vcpus=2', '--debug', '--', 'sh', '-c', script]);
    assert.is(status, 125);
    assert.match(stderr, /^tvisor: kernel panic: [^\n]*; this is a bug in tvisor: [^\n]*\nkernel panic: /);
    assert.match(stderr, /\nvcpu \d[^\n]*\ntask \d+ \(sh\)[\s\S]*\n {4}at [\s\S]*\nrecords: .*Task \d/);
  });

  test('streams are connected, and a large pipe arrives whole', () => {
    assert.is(tvisor(['do', '--', 'tr', 'a-z', 'A-Z'], 'hello\n').stdout, 'HELLO\n');
    assert.is(tvisor(['do', '--', 'sh', '-c', 'echo out; echo err >&2']).stderr, 'err\n');
    const big = 'x'.repeat(20 << 20);
    assert.is(tvisor(['do', '--', 'cat'], big).stdout.length, big.length);
  });

  test('a reader that goes away ends the writer', () => {
    const { stdout, status } = spawnSync('sh', ['-c', `"$0" "$1" do -- yes | head -2`, process.execPath, TVISOR], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.is(stdout, 'y\ny\n');
    assert.is(status, 0);
  });

  test('the headline', () => {
    assert.is(tvisor(['do', '--', 'sh', '-c', 'seq 1 1000 | sort -rn | head -3']).stdout, '1000\n999\n998\n');
  });

  test('writes vanish, except in a volume', () => {
    mkdirSync(GUEST_FILES, { recursive: true });
    const base = mkdtempSync(join(GUEST_FILES, 'do-'));
    writeFileSync(join(base, 'kept'), 'before\n');
    const script = `echo after > ${base}/kept; echo new > ${base}/new; cat ${base}/kept; echo volume > /mnt/made`;
    mkdirSync(join(base, 'v'));
    const run = tvisor(['do', `--volume=${join(base, 'v')}:/mnt`, '--', 'sh', '-c', script]);
    assert.is(run.stdout, 'after\n', run.stderr);
    assert.is(readFileSync(join(base, 'kept'), 'utf8'), 'before\n');
    assert.not.ok(existsSync(join(base, 'new')));
    assert.is(readFileSync(join(base, 'v', 'made'), 'utf8'), 'volume\n');
    rmSync(base, { recursive: true });
  });

  test('strace shows each call', () => {
    const { stderr } = tvisor(['do', '--strace', '--', 'cat', '/etc/hostname']);
    assert.match(stderr, /openat\(AT_FDCWD, "\/etc\/hostname", O_RDONLY.*\) = 3\n/);
    assert.match(stderr, /exit_group\(0\) = \?\n/);
  });

  test('debug prints counters of the machine, and leaves the output alone', () => {
    const { stdout, stderr } = tvisor(['do', '--debug', '--vcpus=0', '--', 'echo', 'out']);
    assert.is(stdout, 'out\n');
    assert.match(stderr, /^tvisor: the machine ran for [\d.]+ ms\n/);
    assert.match(stderr, /\nthread +caller\ninstructions +[1-9]\d+\n/);
    assert.match(stderr, /\nsystem calls +[1-9]\d*\n/);
  });
}

test.run();
