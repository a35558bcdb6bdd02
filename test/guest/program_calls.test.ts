/** A program gives the same results on the executor as its C form does as guest code on a machine with a CPU. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../engine/index.ts';
import { c_program } from '../../harness/oracle/repro_c.ts';
import { run_lines } from '../support/executor.ts';
import { GUEST_FILES, native_host } from '../support/guest.ts';
import { program } from '../support/programs.ts';

const PIPE = 'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)';
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  files: [
    "mkdir(&(0x7f0000000040)='./d\\x00', 0x1ed)",
    "r0 = openat(0xffffffffffffff9c, &(0x7f0000000040)='./d/f\\x00', 0x42, 0x180)",
    'write(r0, &(0x7f0000000080)="0011223344", 0x5)',
    'lseek(r0, 0x2, 0x0)',
    'lseek(r0, 0x1, 0x9)',
    'read(r0, &(0x7f0000001000)=""/16, 0x10)',
    'pread64(r0, &(0x7f0000001000)=""/16, 0x10, 0x4)',
    'ftruncate(r0, 0x1000)',
    'fallocate(r0, 0x0, 0x0, 0x2000)',
    "link(&(0x7f0000000040)='./d/f\\x00', &(0x7f0000000080)='./g\\x00')",
    "rename(&(0x7f0000000040)='./g\\x00', &(0x7f0000000080)='./d\\x00')",
    "symlink(&(0x7f0000000040)='./d/f\\x00', &(0x7f0000000080)='./s\\x00')",
    "openat(0xffffffffffffff9c, &(0x7f0000000040)='./s\\x00', 0x20000, 0x0)",
    "rmdir(&(0x7f0000000040)='./d\\x00')",
    "unlink(&(0x7f0000000040)='./nothing\\x00')",
    'close(r0)',
    'close(r0)',
  ],
  pipes: [
    PIPE,
    'write(r1, &(0x7f0000000080)="00112233", 0x4)',
    'read(r0, &(0x7f0000001000)=""/16, 0x10)',
    'r2 = dup(r1)',
    'dup2(r2, 0x20)',
    'close(r1)',
    'fcntl$F_GETFD(r2, 0x1, 0x0)',
    'r3 = eventfd2(0x5, 0x800)',
    'read(r3, &(0x7f0000001000)=""/8, 0x8)',
    'read(r3, &(0x7f0000001000)=""/8, 0x8)',
    'read(r3, &(0x7f0000001000)=""/4, 0x4)',
    'r4 = epoll_create1(0x0)',
    'epoll_ctl$EPOLL_CTL_ADD(r4, 0x1, r3, &(0x7f0000000340)={0x4, @fd=r3})',
    'epoll_ctl$EPOLL_CTL_ADD(r4, 0x1, r3, &(0x7f0000000340)={0x4, @fd=r3})',
    'epoll_wait(r4, &(0x7f0000001000)=[{}], 0x1, 0x0)',
    'read(0x123, &(0x7f0000001000)=""/8, 0x8)',
  ],
  memory: [
    'mmap(&(0x7f0000001000/0x3000)=nil, 0x3000, 0x3, 0x8032, 0xffffffffffffffff, 0x0)',
    'mprotect(&(0x7f0000001000/0x1000)=nil, 0x1000, 0x1)',
    'getcwd(&(0x7f0000001000), 0x2)',
    'munmap(&(0x7f0000002000/0x1000)=nil, 0x1000)',
    'munmap(&(0x7f0000002000/0x1000)=nil, 0x1000)',
    'madvise(&(0x7f0000001000/0x1000)=nil, 0x1000, 0x4)',
    'madvise(&(0x7f0000002000/0x1000)=nil, 0x1000, 0x4)',
    'mremap(&(0x7f0000003000/0x1000)=nil, 0x1000, 0x1000, 0x3, &(0x7f0000005000/0x1000)=nil)',
    'mlock(&(0x7f0000005000/0x1000)=nil, 0x1000)',
    'msync(&(0x7f0000005000/0x1000)=nil, 0x1000, 0x5)',
    'clock_gettime(0x1234, &(0x7f0000000000))',
    'nanosleep(&(0x7f0000000000)={0x0, 0x1000}, 0x0)',
    'poll(&(0x7f0000000000), 0x0, 0x5)',
    'prctl$PR_GET_KEEPCAPS(0x7, 0x0, 0x0, 0x0, 0x0)',
    'wait4(0xffffffffffffffff, &(0x7f0000000000), 0x1, 0x0)',
  ],
};

/** The C form, which prints each call's result; descriptors and directory are those of the executor's process. */
function tracing_program(lines: readonly string[]): string {
  const text = c_program(program(...lines), 'results of each call')
    .replaceAll('result = syscall(', 'result = traced(')
    .replace('int main(void) {', 'int main(int argc, char **argv) {')
    .replace('  long result;\n', '  long result;\n  prepare(argv[1]);\n')
    .replace('  return 0;\n}', '  for (int i = 0; i < calls; i++) dprintf(200, "%ld ", results[i]);\n  return 0;\n}');
  const prelude = `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
static long results[64];
static int calls;
#define traced(...) (results[calls++] = failed_as(syscall(__VA_ARGS__)), results[calls - 1] < 0 && results[calls - 1] > -4096 ? -1 : results[calls - 1])
static long failed_as(long result) { return result == -1 ? -errno : result; }
static void prepare(const char *directory) {
  dup2(1, 200);
  for (int fd = 0; fd < 3; fd++) close(fd);
  for (int fd = 0; fd < 3; fd++) open("/dev/null", O_RDWR);
  umask(0);
  mkdir(directory, 0777);
  chdir(directory);
}
`;
  return prelude + text;
}

function compile_text(name: string, text: string): string {
  mkdirSync(GUEST_FILES, { recursive: true });
  const binary = join(GUEST_FILES, `program_${name}`);
  writeFileSync(`${binary}.c`, text);
  const built = spawnSync('cc', ['-O1', '-w', '-static', '-pthread', '-o', binary, `${binary}.c`], {
    encoding: 'utf8',
  });
  assert.is(built.status, 0, built.stderr);
  return binary;
}

if (!native_host()) test('nothing to run on this host', () => {});
else
  for (const [name, lines] of Object.entries(PROGRAMS))
    test(`${name}: the executor and guest code agree`, async () => {
      const binary = compile_text(name, tracing_program(lines));
      const machine = await Machine.create({ vcpus: 0, memory: 128 << 20, clock: 'virtual', seed: 1 });
      const guest = await machine.run([binary, `/tmp/${name}`], { timeout: 30_000 });
      await machine.close();
      const { status, calls } = run_lines(lines);
      assert.is(status, 'done');
      const results = calls.map(({ result }, i) => `${lines[i]} = ${result}`);
      const expected = guest.stdout.trim().split(' ');
      assert.equal(
        results,
        expected.map((result, i) => `${lines[i]} = ${result}`),
      );
    });

test.run();
