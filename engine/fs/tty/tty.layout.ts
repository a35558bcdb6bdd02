/**
 * Tty: a terminal as programs see it (Linux's tty_struct with the N_TTY line discipline). What programs
 * write goes, processed, into `output`, a pipe that the host or a pseudo-terminal's master reads; what
 * comes from there is cooked into the input ring.
 *
 * The ring holds bytes head..tail, of which those before `line_end` are complete lines; `marks` has a bit
 * for each ring position whose byte ends a line. Waiters are on the output pipe's queue.
 */
import { layout } from '../../heap/layout.ts';
import { Lock } from '../../heap/lock.ts';

export const INPUT_BYTES = 4096;
/** Bits of `Tty.stopped`: the STOP character, and TCOOFF, which only TCOON undoes. */
export const STOPPED_BY_CHARACTER = 1;
export const STOPPED_BY_CALL = 2;
/** Device number of the slave side of pseudo-terminals; their minor is N of /dev/pts/N. */
export const PTS_MAJOR = 136;

const r = layout('TtyRoot');
/** All terminals of the machine (ROOT_TTY). */
export const TtyRoot = r.done(
  {
    lock: r.embed(Lock),
    /** What /dev/console opens; 0 none. */
    console: r.ptr('Tty', 'guarded by lock'),
    /** Pseudo-terminals, by rising number. */
    first: r.ptr('Tty', 'guarded by lock'),
  },
  16,
);

const l = layout('Tty');
export const Tty = l.done(
  {
    lock: l.embed(Lock),
    /** Open files, and the host or master. A terminal without any is found no more. */
    refs: l.atomic(),
    /** Set once a program reads from the terminal, looks at it or changes its settings. */
    wanted: l.atomic(),
    /** N of /dev/pts/N, and the next higher one in the list of all. */
    number: l.u32('immutable'),
    next: l.ptr('Tty', 'guarded by root lock'),
    /** Owner of /dev/pts/N. */
    uid: l.u32('immutable'),
    gid: l.u32('immutable'),
    /** Files of the slave side that are open, and whether there has ever been one. */
    opens: l.u32('guarded by lock'),
    opened: l.u32('guarded by lock'),
    /** The slave side cannot be opened yet (unlockpt(3)). */
    shut: l.u32('guarded by lock'),
    output: l.ptr('Pipe', 'immutable'),
    iflag: l.u32('guarded by lock'),
    oflag: l.u32('guarded by lock'),
    cflag: l.u32('guarded by lock'),
    lflag: l.u32('guarded by lock'),
    line: l.u8('guarded by lock'),
    cc: l.bytes(19, 1, 'guarded by lock'),
    /** Rows, columns, and both in pixels. */
    winsize: l.bytes(8, 4, 'guarded by lock'),
    /** Session whose controlling terminal this is, 0 none; its foreground process group. */
    session: l.i32('guarded by lock'),
    foreground: l.i32('guarded by lock'),
    /** Heap page of the ring; positions count up and are taken modulo INPUT_BYTES. */
    input: l.u32('immutable'),
    head: l.u32('guarded by lock'),
    line_end: l.u32('guarded by lock'),
    tail: l.u32('guarded by lock'),
    /** Output column, for erasing tabs. */
    column: l.u32('guarded by lock'),
    /** STOPPED_*: why output is stopped, 0 when it is not. */
    stopped: l.u32('guarded by lock'),
    /** TCOOFF at the master: it cannot type. */
    typing_stopped: l.u32('guarded by lock'),
    /** The next character is taken literally. */
    literal: l.u32('guarded by lock'),
    hung_up: l.u32('guarded by lock'),
    /** Somebody found no room to type: there is none until programs have read LOW_ROOM bytes. */
    throttled: l.u32('guarded by lock'),
    marks: l.bytes(INPUT_BYTES / 8, 8, 'guarded by lock'),
  },
  664,
);
