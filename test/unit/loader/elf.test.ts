import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EINVAL, ENOEXEC } from '../../../engine/abi/errno.ts';
import {
  check_segments,
  type ElfProgram,
  headers_address,
  mapping_size,
  parse_elf_header,
  parse_program_headers,
} from '../../../engine/loader/elf.ts';

function header_bytes(): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(24, 0x401000, true);
  view.setUint32(32, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  return bytes;
}

function program_of(rows: number[][]): ElfProgram | number {
  const bytes = new Uint8Array(rows.length * 56);
  const view = new DataView(bytes.buffer);
  for (const [i, [type = 0, flags = 0, offset = 0, vaddr = 0, filesz = 0, memsz = 0, align = 0]] of rows.entries()) {
    view.setUint32(i * 56, type, true);
    view.setUint32(i * 56 + 4, flags, true);
    for (const [at, value] of [
      [8, offset],
      [16, vaddr],
      [32, filesz],
      [40, memsz],
      [48, align],
    ] as const)
      view.setBigUint64(i * 56 + at, BigInt(value), true);
  }
  return parse_program_headers({ type: 2, entry: 0, phoff: 64, phnum: rows.length }, bytes);
}

test('a good header parses', () => {
  assert.equal(parse_elf_header(header_bytes()), { type: 2, entry: 0x401000, phoff: 64, phnum: 1 });
});

test('each lie in the header is ENOEXEC', () => {
  const lies: [string, number, number][] = [
    ['magic', 0, 0x7e],
    ['type', 16, 1],
    ['machine', 18, 3],
    ['phentsize', 54, 32],
    ['phnum 0', 56, 0],
    ['phnum too large', 57, 0x10],
  ];
  for (const [what, at, value] of lies) {
    const bytes = header_bytes();
    bytes[at] = value;
    assert.is(parse_elf_header(bytes), -ENOEXEC, what);
  }
  assert.is(parse_elf_header(new Uint8Array(63)), -ENOEXEC);
});

test('program headers', () => {
  const program = program_of([
    [1, 5, 0, 0x400000, 0x1000, 0x1000, 0x1000],
    [1, 6, 0x1000, 0x402000, 0x10, 0x3000, 0x1000],
    [3, 4, 0x200, 0, 28, 28, 1],
    [0x6474e551, 7, 0, 0, 0, 0, 0],
  ]) as ElfProgram;
  assert.is(program.loads.length, 2);
  assert.equal(program.interpreter, { offset: 0x200, size: 28 });
  assert.is(program.executable_stack, true);
  assert.is(mapping_size(program), 0x5000);
  assert.is(headers_address(program), 0x400040);
  assert.is(check_segments(program, 0), 0);
  for (const size of [0, 1, 4097]) assert.is(program_of([[3, 4, 0, 0, size, size, 1]]), -ENOEXEC);
});

test('segments that lie are EINVAL', () => {
  const lies = [
    [1, 5, 0, 0x400000, 0x2000, 0x1000, 0x1000],
    [1, 5, 0, 0x7fff_ffff_f000, 0, 0x1000, 0x1000],
    [1, 5, 0, 0x400000, 0, 2 ** 53, 0x1000],
    [1, 5, 0x10, 0x400000, 0x100, 0x100, 0x1000],
  ];
  for (const lie of lies) assert.is(check_segments(program_of([lie]) as ElfProgram, 0), -EINVAL, String(lie));
  assert.is(check_segments(program_of([[0]]) as ElfProgram, 0), -EINVAL);
});

test.run();
