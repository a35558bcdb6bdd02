/**
 * Reads ELF headers. Everything in the file is an allegation: each check answers the errno that Linux's
 * load_elf_binary (fs/binfmt_elf.c) answers, in its order.
 *
 * Pure: works on bytes, touches no machine state. 64-bit fields are doubles; a value from 2^53 on loses
 * low bits but stays larger than any user address, so that the range checks still refuse it.
 */
import {
  EHDR_SIZE,
  EM_X86_64,
  ET_DYN,
  ET_EXEC,
  PF_X,
  PHDR_SIZE,
  PT_GNU_STACK,
  PT_INTERP,
  PT_LOAD,
} from '../abi/elf.ts';
import { EINVAL, ENOEXEC } from '../abi/errno.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';

/** The part of the ELF header that loading needs. */
export interface ElfHeader {
  readonly type: number;
  readonly entry: number;
  /** Program headers: file offset and count. */
  readonly phoff: number;
  readonly phnum: number;
}

export interface Segment {
  /** PF_R, PF_W, PF_X. */
  readonly flags: number;
  readonly offset: number;
  readonly vaddr: number;
  readonly filesz: number;
  readonly memsz: number;
  readonly align: number;
}

export interface ElfProgram {
  readonly header: ElfHeader;
  /** PT_LOAD segments in file order. */
  readonly loads: readonly Segment[];
  /** File offset and size of the interpreter's path with its NUL, or null. */
  readonly interpreter: { readonly offset: number; readonly size: number } | null;
  /** PT_GNU_STACK asks for an executable stack. */
  readonly executable_stack: boolean;
}

const PATH_MAX = 4096;
/** Linux refuses tables of program headers above this (load_elf_phdrs). */
const MAX_PHDR_BYTES = 65536;

function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 4294967296 + view.getUint32(at, true);
}

/** The header in the first EHDR_SIZE bytes of a file (zeros past its end), or -ENOEXEC. */
export function parse_elf_header(bytes: Uint8Array): ElfHeader | number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < EHDR_SIZE || view.getUint32(0, false) !== 0x7f454c46) return -ENOEXEC;
  const type = view.getUint16(16, true);
  if (type !== ET_EXEC && type !== ET_DYN) return -ENOEXEC;
  if (view.getUint16(18, true) !== EM_X86_64) return -ENOEXEC;
  // Class and byte order are not looked at: neither does Linux.
  const phnum = view.getUint16(56, true);
  if (view.getUint16(54, true) !== PHDR_SIZE) return -ENOEXEC;
  if (phnum === 0 || phnum * PHDR_SIZE > MAX_PHDR_BYTES) return -ENOEXEC;
  return { type, entry: u64(view, 24), phoff: u64(view, 32), phnum };
}

/**
 * The program described by a table of program headers, or -ENOEXEC for an interpreter path of impossible
 * length. Segments are not checked here: Linux finds their lies while it maps them (check_segments).
 */
export function parse_program_headers(header: ElfHeader, bytes: Uint8Array): ElfProgram | number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const loads: Segment[] = [];
  let interpreter: ElfProgram['interpreter'] = null;
  let executable_stack = false;
  for (let i = 0; i < header.phnum; i++) {
    const at = i * PHDR_SIZE;
    const type = view.getUint32(at, true);
    const segment = {
      flags: view.getUint32(at + 4, true),
      offset: u64(view, at + 8),
      vaddr: u64(view, at + 16),
      filesz: u64(view, at + 32),
      memsz: u64(view, at + 40),
      align: u64(view, at + 48),
    };
    if (type === PT_LOAD) loads.push(segment);
    else if (type === PT_GNU_STACK) executable_stack = (segment.flags & PF_X) !== 0;
    else if (type === PT_INTERP && interpreter === null) {
      if (segment.filesz < 2 || segment.filesz > PATH_MAX) return -ENOEXEC;
      interpreter = { offset: segment.offset, size: segment.filesz };
    }
  }
  return { header, loads, interpreter, executable_stack };
}

/** Bytes of address space from the first segment's page to the last segment's end; 0 without segments. */
export function mapping_size(program: ElfProgram): number {
  let low = Number.POSITIVE_INFINITY;
  let high = 0;
  for (const { vaddr, memsz } of program.loads) {
    low = Math.min(low, vaddr - (vaddr % 4096));
    high = Math.max(high, vaddr + memsz);
  }
  return high > low ? high - low : 0;
}

/** The largest power-of-two alignment asked for by a segment, at least a page (maximum_alignment). */
export function mapping_alignment(program: ElfProgram): number {
  let alignment = 4096;
  for (const { align } of program.loads)
    if (align > alignment && align <= TASK_SIZE && Number.isInteger(Math.log2(align))) alignment = align;
  return alignment;
}

/**
 * Whether the segments can be mapped at `bias`: 0, or -EINVAL for a segment with more file than memory,
 * outside the user's addresses, or at an offset that cannot be mapped to its address.
 */
export function check_segments(program: ElfProgram, bias: number): number {
  if (program.loads.length === 0) return -EINVAL;
  for (const { offset, vaddr, filesz, memsz } of program.loads) {
    const start = vaddr + bias;
    if (filesz > memsz || memsz > TASK_SIZE || start > TASK_SIZE - memsz) return -EINVAL;
    if (offset % 4096 !== vaddr % 4096 || offset + filesz > Number.MAX_SAFE_INTEGER) return -EINVAL;
  }
  return 0;
}

/**
 * The address, in the program's own terms, at which its program headers appear in memory (AT_PHDR): the
 * segment that holds the file offset e_phoff; 0 when none does.
 */
export function headers_address(program: ElfProgram): number {
  const { phoff } = program.header;
  for (const { offset, vaddr, filesz } of program.loads)
    if (phoff >= offset && phoff < offset + filesz) return phoff - offset + vaddr;
  return 0;
}
