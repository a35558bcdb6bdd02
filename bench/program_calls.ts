/**
 * System calls as programs of the fuzz harness: the cases of bench/syscalls.c that need no guest code. Left out is what
 * needs a child, thread or new program that runs code of its own: those of the harness sleep, and exit.
 */
import { AT_FDCWD, O_CREAT, O_RDWR } from '../engine/abi/fcntl.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../engine/abi/mman.ts';
import { CALL, CONST, COPY_IN, COPY_OUT, DATA, END, MAGIC, NO_SLOT, RESULT } from '../harness/prog/exec_format.ts';
import { DATA_BASE } from '../harness/prog/model.ts';

/** An argument: a number, or what a call left in a slot. */
type Value = number | Slot;
interface Slot {
  readonly slot: number;
}

const TWO_32 = 4294967296;
const BUFFER = DATA_BASE + 0x1_0000;
const PATH = DATA_BASE;
const ZERO = DATA_BASE + 0x100;
const NULL = DATA_BASE + 0x200;
const WORD = DATA_BASE + 0x300;
const ACTION = DATA_BASE + 0x400;
/** Where nothing is mapped. */
const PLACE = 0x1000_0000;
const SA_RESTORER = 0x0400_0000;
const SIGUSR1 = 10;

/** Builds programs in the form that the `program` platform interprets. */
class Builder {
  private readonly words: number[] = [];
  private calls = 0;
  private slots = 0;

  copy_in(address: number, bytes: Uint8Array): void {
    this.words.push(COPY_IN, address, DATA | (bytes.length << 8));
    for (let i = 0; i < bytes.length; i += 4) {
      const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(i, i + 4);
      this.words.push((a | (b << 8) | (c << 16) | (d << 24)) >>> 0);
    }
  }

  text(address: number, text: string): void {
    this.copy_in(address, new TextEncoder().encode(`${text}\0`));
  }

  /** A place for a result, of which a program has some hundred. */
  slot(): Slot {
    return { slot: this.slots++ };
  }

  /** Adds a call; its result goes into `kept`, which is answered, where that is wanted. */
  call(number: number, args: readonly Value[], kept?: Slot): Slot {
    const slot = kept?.slot ?? NO_SLOT;
    this.calls++;
    this.words.push(CALL | (args.length << 16), number, slot, 0);
    for (const arg of args)
      if (typeof arg === 'number') this.words.push(CONST | (8 << 8), arg >>> 0, Math.floor(arg / TWO_32) >>> 0);
      else this.words.push(RESULT | (8 << 8), arg.slot, 0xffff_ffff, 0xffff_ffff, 0, 0, 0, 0);
    return { slot };
  }

  /** Keeps the number of four bytes that the last call wrote at an address. */
  keep(address: number): Slot {
    const kept = this.slot();
    this.words.push(COPY_OUT | (4 << 8), address, kept.slot);
    return kept;
  }

  build(): Uint32Array {
    return Uint32Array.from([MAGIC, this.calls, this.slots, ...this.words, END]);
  }
}

export interface ProgramCase {
  /** As in bench/syscalls.c. */
  readonly name: string;
  /** Calls before the measured ones; what they leave is passed to `step`. */
  readonly prepare?: (b: Builder) => readonly Value[];
  /** One round of what is measured, and how many calls that is. */
  readonly step: (b: Builder, prepared: readonly Value[]) => void;
  /** Rounds in a program, which has a limit of time. */
  readonly rounds: number;
}

const open_zero = (b: Builder): Value[] => {
  b.text(ZERO, '/dev/zero');
  return [b.call(257, [AT_FDCWD, ZERO, 0, 0], b.slot())];
};
const open_null = (b: Builder): Value[] => {
  b.text(NULL, '/dev/null');
  return [b.call(257, [AT_FDCWD, NULL, O_RDWR, 0], b.slot())];
};
/** A file of 4 KiB on tmpfs. */
const open_file = (b: Builder): Value[] => {
  b.text(PATH, '/dev/shm/file');
  const fd = b.call(257, [AT_FDCWD, PATH, O_RDWR | O_CREAT, 0o600], b.slot());
  b.call(18, [fd, BUFFER, 4096, 0]);
  return [fd];
};
const open_pipe = (b: Builder): Value[] => {
  b.call(22, [WORD]);
  return [b.keep(WORD), b.keep(WORD + 4)];
};
const open_event = (b: Builder): Value[] => [b.call(290, [0, 0], b.slot())];

const first = (values: readonly Value[]): Value => values[0] ?? 0;
const transfer = (number: number, bytes: number): ProgramCase['step'] => {
  const positioned = number === 17 || number === 18 ? [0] : [];
  return (b, values) => void b.call(number, [first(values), BUFFER, bytes, ...positioned]);
};

export const PROGRAM_CASES: readonly ProgramCase[] = [
  { name: 'getppid', rounds: 4000, step: (b) => void b.call(110, []) },
  { name: 'clock_gettime, system call', rounds: 4000, step: (b) => void b.call(228, [1, BUFFER]) },
  { name: 'read 1 B, /dev/zero', rounds: 4000, prepare: open_zero, step: transfer(0, 1) },
  { name: 'read 4 KiB, /dev/zero', rounds: 4000, prepare: open_zero, step: transfer(0, 4096) },
  { name: 'write 1 B, /dev/null', rounds: 4000, prepare: open_null, step: transfer(1, 1) },
  { name: 'write 4 KiB, /dev/null', rounds: 4000, prepare: open_null, step: transfer(1, 4096) },
  { name: 'pread 1 B, tmpfs', rounds: 4000, prepare: open_file, step: transfer(17, 1) },
  { name: 'pread 4 KiB, tmpfs', rounds: 4000, prepare: open_file, step: transfer(17, 4096) },
  { name: 'pwrite 1 B, tmpfs', rounds: 4000, prepare: open_file, step: transfer(18, 1) },
  { name: 'pwrite 4 KiB, tmpfs', rounds: 4000, prepare: open_file, step: transfer(18, 4096) },
  ...[1, 4096].map((bytes) => ({
    name: `write and read ${bytes === 1 ? '1 B' : '4 KiB'}, pipe`,
    rounds: 2000,
    prepare: open_pipe,
    step: (b: Builder, [read = 0, write = 0]: readonly Value[]) => {
      b.call(1, [write, BUFFER, bytes]);
      b.call(0, [read, BUFFER, bytes]);
    },
  })),
  {
    name: 'openat and close',
    rounds: 2000,
    prepare: (b) => {
      open_file(b);
      return [b.slot()];
    },
    step: (b, [fd]) => void b.call(3, [b.call(257, [AT_FDCWD, PATH, 0, 0], fd as Slot)]),
  },
  { name: 'stat', rounds: 4000, prepare: open_file, step: (b) => void b.call(4, [PATH, BUFFER]) },
  { name: 'fstat', rounds: 4000, prepare: open_file, step: (b, v) => void b.call(5, [first(v), BUFFER]) },
  {
    name: 'mmap, touch, munmap',
    rounds: 2000,
    step: (b) => {
      b.call(9, [PLACE, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0]);
      b.copy_in(PLACE, Uint8Array.of(1));
      b.call(11, [PLACE, 4096]);
    },
  },
  { name: 'futex wake', rounds: 4000, step: (b) => void b.call(202, [WORD, 129, 1, 0, 0, 0]) },
  {
    name: 'write and read, eventfd',
    rounds: 2000,
    prepare: (b) => {
      b.copy_in(WORD, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));
      return open_event(b);
    },
    step: (b, values) => {
      b.call(1, [first(values), WORD, 8]);
      b.call(0, [first(values), BUFFER, 8]);
    },
  },
  {
    name: 'epoll_wait, ready',
    rounds: 4000,
    prepare: (b) => {
      b.copy_in(WORD, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
      const event = first(open_event(b));
      const epoll = b.call(291, [0], b.slot());
      b.call(233, [epoll, 1, event, WORD]);
      b.call(1, [event, WORD, 8]);
      return [epoll];
    },
    step: (b, values) => void b.call(232, [first(values), BUFFER, 1, 0]),
  },
  {
    name: 'sigaction, kill, handler',
    rounds: 1000,
    prepare: (b) => {
      // struct sigaction of the kernel: handler, flags, restorer, mask.
      b.copy_in(ACTION, new Uint8Array(Uint32Array.of(PLACE, 0, SA_RESTORER, 0, PLACE, 0, 0, 0).buffer));
      return [b.slot()];
    },
    step: (b, [pid]) => {
      b.call(13, [SIGUSR1, ACTION, 0, 8]);
      b.call(62, [b.call(39, [], pid as Slot), SIGUSR1]);
    },
  },
];

/** The program of a case with so many rounds. */
export function program_of({ prepare, step }: ProgramCase, rounds: number): Uint32Array {
  const b = new Builder();
  const prepared = prepare?.(b) ?? [];
  for (let i = 0; i < rounds; i++) step(b, prepared);
  return b.build();
}

/** A program that writes a word to each of so many pages. */
export function dirtying_program(pages: number): Uint32Array {
  const b = new Builder();
  for (let i = 0; i < pages; i++) b.copy_in(DATA_BASE + i * 4096, Uint8Array.of(1, 2, 3, 4));
  b.call(110, []);
  return b.build();
}
