/**
 * Loading a program: from an open file to an address space with a stack, ready to run.
 *
 *   load_program    scripts: follows `#!` to the interpreter, rewriting the arguments
 *     load_elf      reads and checks the headers, opens the ELF interpreter (the dynamic linker)
 *       build       makes the address space: segments, bss, interpreter, stack, brk
 *
 * Up to `build` every failure is an errno of execve(2). From there on Linux has given up the old program
 * ("the point of no return") and kills the process with SIGSEGV; here nothing is lost yet, but the answer
 * is the same: LOAD_KILLED.
 *
 * Addresses are those of Linux without randomisation: the same program starts the same way each time.
 */
import {
  AT_BASE,
  AT_CLKTCK,
  AT_EGID,
  AT_ENTRY,
  AT_EUID,
  AT_EXECFN,
  AT_FLAGS,
  AT_GID,
  AT_HWCAP,
  AT_HWCAP2,
  AT_PAGESZ,
  AT_PHDR,
  AT_PHENT,
  AT_PHNUM,
  AT_PLATFORM,
  AT_RANDOM,
  AT_SECURE,
  AT_SYSINFO_EHDR,
  AT_UID,
  EHDR_SIZE,
  ET_DYN,
  PF_R,
  PF_W,
  PF_X,
  PHDR_SIZE,
} from '../abi/elf.ts';
import { ELIBBAD, ELOOP, ENOENT, ENOEXEC, ENOMEM } from '../abi/errno.ts';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_PRIVATE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../abi/mman.ts';
import type { Ptr } from '../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { U8 } from '../heap/memory.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { mm_create, mm_put } from '../mm/address_space.ts';
import { Mm } from '../mm/mm.layout.ts';
import { do_mmap, do_munmap } from '../mm/mmap.ts';
import { set_mmap_base } from '../mm/placement.ts';
import { random_fill } from '../time/random.ts';
import { file_get, file_put } from '../vfs/file.ts';
import { allow_write_access, vfs_open_exec } from '../vfs/open.ts';
import type { PathContext } from '../vfs/path.ts';
import {
  check_segments,
  type ElfProgram,
  headers_address,
  mapping_alignment,
  mapping_size,
  parse_elf_header,
  parse_program_headers,
} from './elf.ts';
import { read_bytes, read_exactly, with_string, write_bytes } from './image.ts';
import { is_script, MAX_INTERPRETER_DEPTH, parse_script, SCRIPT_WINDOW } from './script.ts';
import { build_stack, STACK_TOP, type StackImage } from './stack.ts';
import { map_vdso } from './vdso.ts';

/** Not an errno: the file was accepted and then could not be mapped; the process dies of SIGSEGV. */
export const LOAD_KILLED = -0x2000;

/** Where position-independent programs with an interpreter go (two thirds of the address space). */
const DYNAMIC_BASE = 0x5555_5555_4000;
/** Address space that the first stack gets beyond its contents (Linux's setup_arg_pages). */
const STACK_EXPAND = 131072;
const CLOCK_TICKS = 100;
/** CPUID leaf 1 EDX of the machine's processor. */
const HWCAP = 0x078b_fbfd;

export interface LoadRequest {
  /** The file to run; not consumed. */
  readonly file: Ptr<'File'>;
  /** Its name as given, which becomes AT_EXECFN. */
  readonly filename: Uint8Array;
  readonly argv: readonly Uint8Array[];
  readonly envp: readonly Uint8Array[];
  /** How interpreters' paths are resolved. */
  readonly context: PathContext;
  readonly credentials: Ptr<'Credentials'>;
  /** RLIMIT_STACK in bytes. */
  readonly stack_limit: number;
  /** The file was named by a close-on-exec descriptor: a script's interpreter could not open it. */
  readonly unreachable: boolean;
}

/** A program ready to run. The address space has one reference, which the caller takes over. */
export interface Program {
  readonly mm: Ptr<'Mm'>;
  readonly rip: number;
  readonly rsp: number;
}

/** Loads a file, following scripts. -errno, or LOAD_KILLED. */
export function load_program(request: LoadRequest): Program | number {
  let { file, argv } = request;
  let name = request.filename;
  file_get(file);
  for (let depth = 0; depth <= MAX_INTERPRETER_DEPTH; depth++) {
    const window = read_window(file);
    if (typeof window === 'number' || !is_script(window)) {
      const loaded = typeof window === 'number' ? window : load_elf(file, window, { ...request, argv });
      file_put(file);
      return loaded;
    }
    const next = open_script_interpreter(window, request);
    file_put(file);
    if (typeof next === 'number') return next;
    argv = [next.path, ...(next.argument === null ? [] : [next.argument]), name, ...argv.slice(1)];
    name = next.path;
    file = next.file;
  }
  file_put(file);
  return -ELOOP;
}

function read_window(file: Ptr<'File'>): Uint8Array | number {
  const bytes = read_bytes(file, 0, SCRIPT_WINDOW);
  if (typeof bytes === 'number') return bytes;
  const window = new Uint8Array(SCRIPT_WINDOW);
  window.set(bytes);
  return window;
}

interface ScriptInterpreter {
  readonly file: Ptr<'File'>;
  readonly path: Uint8Array;
  readonly argument: Uint8Array | null;
}

function open_script_interpreter(window: Uint8Array, request: LoadRequest): ScriptInterpreter | number {
  const line = parse_script(window);
  if (typeof line === 'number') return line;
  if (request.unreachable) return -ENOENT;
  const file = open_exec(line.interpreter, request.context);
  if (file < 0) return file;
  return { file: file as Ptr<'File'>, path: line.interpreter, argument: line.argument };
}

function open_exec(path: Uint8Array, context: PathContext): number {
  context.start = 0 as Ptr<'File'>;
  return with_string(path, (address) => vfs_open_exec(context, address, true));
}

/** Headers of an ELF file; the errno for a bad one is `bad`. */
function read_program(file: Ptr<'File'>, header_bytes: Uint8Array, bad: number): ElfProgram | number {
  const header = parse_elf_header(header_bytes);
  if (typeof header === 'number') return bad;
  const table = read_exactly(file, header.phoff, header.phnum * PHDR_SIZE);
  if (typeof table === 'number') return bad;
  return parse_program_headers(header, table);
}

interface Interpreter {
  readonly file: Ptr<'File'>;
  readonly program: ElfProgram;
}

function load_elf(file: Ptr<'File'>, window: Uint8Array, request: LoadRequest): Program | number {
  const program = read_program(file, window, -ENOEXEC);
  if (typeof program === 'number') return program;
  const interpreter = program.interpreter === null ? null : open_interpreter(file, program.interpreter, request);
  if (typeof interpreter === 'number') return interpreter;
  const loaded = build(file, program, interpreter, request);
  if (interpreter !== null) {
    allow_write_access(interpreter.file);
    file_put(interpreter.file);
  }
  return loaded;
}

function open_interpreter(
  file: Ptr<'File'>,
  where: { readonly offset: number; readonly size: number },
  request: LoadRequest,
): Interpreter | number {
  const path = read_exactly(file, where.offset, where.size);
  if (typeof path === 'number') return path;
  if (path[where.size - 1] !== 0) return -ENOEXEC;
  const opened = open_exec(path.subarray(0, path.indexOf(0)), request.context);
  if (opened < 0) return opened;
  const interpreter = opened as Ptr<'File'>;
  const header = read_exactly(interpreter, 0, EHDR_SIZE);
  const program = typeof header === 'number' ? header : read_program(interpreter, header, -ELIBBAD);
  if (typeof program === 'number') {
    file_put(interpreter);
    // A file that is an ELF of a type nobody can map fails only when it is mapped.
    return is_other_elf_type(header) ? LOAD_KILLED : program;
  }
  return { file: interpreter, program };
}

/** Linux checks the interpreter's e_type only after the point of no return. */
function is_other_elf_type(header: Uint8Array | number): boolean {
  if (typeof header === 'number') return false;
  const as_dynamic = header.slice();
  as_dynamic[16] = ET_DYN;
  as_dynamic[17] = 0;
  return typeof parse_elf_header(header) === 'number' && typeof parse_elf_header(as_dynamic) !== 'number';
}

/** What mapping a program found out. */
interface Mapped {
  /** Added to the program's own addresses. */
  readonly bias: number;
  /** First address behind everything mapped. */
  readonly end: number;
}

function build(
  file: Ptr<'File'>,
  program: ElfProgram,
  interpreter: Interpreter | null,
  request: LoadRequest,
): Program | number {
  const mm = mm_create();
  if (mm === 0) return -ENOMEM;
  Mm.limit_stack.set(mm, request.stack_limit);
  set_mmap_base(mm);
  const loaded = fill(mm, file, program, interpreter, request);
  if (typeof loaded === 'number') mm_put(mm);
  return loaded;
}

function fill(
  mm: Ptr<'Mm'>,
  file: Ptr<'File'>,
  program: ElfProgram,
  interpreter: Interpreter | null,
  request: LoadRequest,
): Program | number {
  const main = map_program(mm, file, program, interpreter !== null);
  if (main === null) return LOAD_KILLED;
  const linker = interpreter === null ? null : map_program(mm, interpreter.file, interpreter.program, false);
  if (interpreter !== null && linker === null) return LOAD_KILLED;
  const entry = program.header.entry + main.bias;
  const rip = interpreter === null || linker === null ? entry : interpreter.program.header.entry + linker.bias;
  if (rip >= TASK_SIZE) return LOAD_KILLED;
  // A program without interpreter may lie among the mappings, where a heap has no room to grow.
  const apart = program.header.type === ET_DYN && interpreter === null;
  const brk = apart ? DYNAMIC_BASE : Math.ceil(main.end / 4096) * 4096;
  Mm.start_brk.set(mm, brk);
  Mm.brk.set(mm, brk);
  set_bounds(mm, program, main.bias);
  const vdso = map_vdso(mm);
  if (vdso < 0) return LOAD_KILLED;
  const image = first_stack(program, main, entry, linker === null ? 0 : linker.bias, vdso, request);
  if (image === null) return -ENOMEM;
  const prot = PROT_READ | PROT_WRITE | (program.executable_stack ? PROT_EXEC : 0);
  const size = Math.ceil((STACK_TOP - image.address + STACK_EXPAND) / 4096) * 4096;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE;
  if (do_mmap(mm, STACK_TOP - size, size, prot, flags, 0 as Ptr<'File'>, 0) < 0) return LOAD_KILLED;
  if (write_bytes(mm, image.address, image.bytes) !== 0) return -ENOMEM;
  note_stack(mm, image);
  file_get(file);
  Mm.exe_file.set(mm, file);
  return { mm, rip, rsp: image.rsp };
}

/** Maps every segment; null when one cannot be. A program that must not move stays where it says. */
function map_program(mm: Ptr<'Mm'>, file: Ptr<'File'>, program: ElfProgram, below: boolean): Mapped | null {
  let bias = 0;
  if (program.header.type === ET_DYN) {
    const chosen = choose_bias(mm, program, below);
    if (chosen === null) return null;
    bias = chosen;
  }
  if (check_segments(program, bias) !== 0) return null;
  let end = 0;
  for (const segment of program.loads) {
    if (segment.memsz === 0) continue;
    if (!map_segment(mm, file, segment, bias)) return null;
    end = Math.max(end, segment.vaddr + bias + segment.memsz);
  }
  return { bias, end };
}

function choose_bias(mm: Ptr<'Mm'>, program: ElfProgram, below: boolean): number | null {
  const size = Math.ceil(mapping_size(program) / 4096) * 4096;
  if (size === 0 || size > TASK_SIZE) return null;
  const first = Math.min(...program.loads.map(({ vaddr }) => vaddr - (vaddr % 4096)));
  const alignment = mapping_alignment(program);
  if (below) return Math.ceil(DYNAMIC_BASE / alignment) * alignment - (first - (first % alignment));
  const room = alignment > 4096 ? size + alignment : size;
  const none = 0 as Ptr<'File'>;
  const at = do_mmap(mm, 0, room, 0, MAP_PRIVATE | MAP_ANONYMOUS, none, 0);
  if (at < 0 || do_munmap(mm, at, room) !== 0) return null;
  return Math.ceil(at / alignment) * alignment - first;
}

function map_segment(mm: Ptr<'Mm'>, file: Ptr<'File'>, segment: ElfProgram['loads'][number], bias: number): boolean {
  const { flags, offset, vaddr, filesz, memsz } = segment;
  const prot =
    ((flags & PF_R) !== 0 ? PROT_READ : 0) |
    ((flags & PF_W) !== 0 ? PROT_WRITE : 0) |
    ((flags & PF_X) !== 0 ? PROT_EXEC : 0);
  const page_offset = vaddr % 4096;
  const start = vaddr + bias - page_offset;
  const file_end = vaddr + bias + filesz;
  const file_page_end = Math.ceil(file_end / 4096) * 4096;
  const memory_end = Math.ceil((vaddr + bias + memsz) / 4096) * 4096;
  const fixed = MAP_PRIVATE | MAP_FIXED;
  let zero_from = start;
  if (filesz > 0) {
    const length = filesz + page_offset;
    if (do_mmap(mm, start, length, prot, fixed, file, offset - page_offset) < 0) return false;
    zero_from = file_page_end;
    // The rest of the last page is bss; in a segment that cannot be written it stays what the file has.
    if (memsz > filesz && (prot & PROT_WRITE) !== 0 && file_end < file_page_end)
      if (write_bytes(mm, file_end, new Uint8Array(file_page_end - file_end)) !== 0) return false;
  }
  if (memory_end <= zero_from) return true;
  const length = memory_end - zero_from;
  return do_mmap(mm, zero_from, length, prot, fixed | MAP_ANONYMOUS, 0 as Ptr<'File'>, 0) >= 0;
}

/** The ranges of code and data that /proc/pid/stat shows. */
function set_bounds(mm: Ptr<'Mm'>, program: ElfProgram, bias: number): void {
  let start_code = Number.POSITIVE_INFINITY;
  let end_code = 0;
  let start_data = 0;
  let end_data = 0;
  for (const { flags, vaddr, filesz } of program.loads) {
    const end = vaddr + bias + filesz;
    if ((flags & PF_X) !== 0) {
      start_code = Math.min(start_code, vaddr + bias);
      end_code = Math.max(end_code, end);
    }
    start_data = Math.max(start_data, vaddr + bias);
    end_data = Math.max(end_data, end);
  }
  Mm.start_code.set(mm, start_code === Number.POSITIVE_INFINITY ? 0 : start_code);
  Mm.end_code.set(mm, end_code);
  Mm.start_data.set(mm, start_data);
  Mm.end_data.set(mm, end_data);
}

/** The first stack's contents, or null without kernel memory. */
function first_stack(
  program: ElfProgram,
  main: Mapped,
  entry: number,
  base: number,
  vdso: number,
  request: LoadRequest,
): StackImage | null {
  const { credentials } = request;
  const page = heap_page_alloc();
  if (page === 0) return null;
  random_fill(page, 16);
  const random = U8.slice(page, page + 16);
  heap_page_free(page);
  const auxv: [number, number][] = [
    ...(vdso === 0 ? [] : [[AT_SYSINFO_EHDR, vdso] as [number, number]]),
    [AT_HWCAP, HWCAP],
    [AT_PAGESZ, 4096],
    [AT_CLKTCK, CLOCK_TICKS],
    [AT_PHDR, headers_address(program) + main.bias],
    [AT_PHENT, PHDR_SIZE],
    [AT_PHNUM, program.header.phnum],
    [AT_BASE, base],
    [AT_FLAGS, 0],
    [AT_ENTRY, entry],
    [AT_UID, Credentials.uid.get(credentials)],
    [AT_EUID, Credentials.euid.get(credentials)],
    [AT_GID, Credentials.gid.get(credentials)],
    [AT_EGID, Credentials.egid.get(credentials)],
    [AT_SECURE, 0],
    [AT_RANDOM, 0],
    [AT_HWCAP2, 0],
    [AT_EXECFN, 0],
    [AT_PLATFORM, 0],
  ];
  return build_stack(request.filename, request.argv, request.envp, auxv, random);
}

function note_stack(mm: Ptr<'Mm'>, image: StackImage): void {
  Mm.start_stack.set(mm, image.rsp);
  Mm.arg_start.set(mm, image.arg_start);
  Mm.arg_end.set(mm, image.arg_end);
  Mm.env_start.set(mm, image.env_start);
  Mm.env_end.set(mm, image.env_end);
  const at = image.auxv_start - image.address;
  const length = Math.min(image.auxv_end - image.auxv_start, Mm.auxv.size);
  U8.set(image.bytes.subarray(at, at + length), Mm.auxv.at(mm));
}
