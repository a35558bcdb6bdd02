/**
 * ProgramState (ROOT_PROGRAM): what a program of the `program` platform has made so far. One record, made at boot,
 * so that a reset of the machine resets it. Where each task is in the program is in its registers (program.ts).
 */
import { layout } from '../../heap/layout.ts';

/** Results that one program may keep. */
export const MAX_SLOTS = 440;

const l = layout('ProgramState');
export const ProgramState = l.done(
  {
    /** State of the generator that chooses when a task yields; never 0. */
    random: l.u32('owner'),
    /** Tasks that were made for calls: async ones, and those behind a call that blocks. */
    threads: l.u32('owner'),
    /** Calls that have begun and not ended. */
    in_flight: l.u32('owner'),
    /** The file system that programs start in. */
    directory: l.ptr('SuperBlock', 'immutable'),
    /** 1 for each slot whose maker has succeeded. */
    made: l.bytes(MAX_SLOTS, 8, 'owner'),
    /** 64 bits each. */
    slots: l.bytes(MAX_SLOTS * 8, 8, 'owner'),
  },
  4000,
);
