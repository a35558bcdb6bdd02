/**
 * The decoded record: one instruction as the interpreter's handlers read it, 32 bytes in the vCPU's arena.
 *
 *   +0   u16 handler         index in the module's function table
 *   +2   u16 first           offset in CpuState of the first register operand (of class st, segment: its number)
 *   +4   u16 second          of the second
 *   +6   u16 base            of the base register; of `zero` where there is none
 *   +8   u16 index           of the index register; of the segment base for implied memory and 32-bit bit tests
 *   +10  u8  scale           shift of the index
 *   +11  u8  length          bytes of the instruction
 *   +12  u32 rip             low half of its address
 *   +16  i64 displacement    or branch target, or immediate where there is no memory operand
 *   +24  i32 immediate       beside a memory operand; second immediate; of a direct branch: the record of its
 *                            target, 0 while unknown
 *   +28  u8  position        instructions before this one in its block
 *   +29  u8  entry           1 + number of the entry, where translated code begins here; else ENTRY_SWITCH, once an
 *                            indirect jump has led here, and 0
 *   +30  u16 heat            branches to this record until it is hot; where translated code begins here, the handler
 *
 * Records of consecutive instructions are consecutive. A block starts behind a branch; whoever enters at a record
 * adds `position` to the fuel, and the branch that ends the block takes away its own position plus one, so that
 * fuel counts instructions exactly wherever a block is entered.
 */
export const RECORD_SIZE = 32;
export const RECORD_HANDLER = 0;
export const RECORD_FIRST = 2;
export const RECORD_SECOND = 4;
export const RECORD_BASE = 6;
export const RECORD_INDEX = 8;
export const RECORD_SCALE = 10;
export const RECORD_LENGTH = 11;
export const RECORD_RIP = 12;
export const RECORD_DISPLACEMENT = 16;
export const RECORD_IMMEDIATE = 24;
export const RECORD_LINK = 24;
export const RECORD_POSITION = 28;
export const RECORD_ENTRY = 29;
export const ENTRY_SWITCH = 0xff;
export const RECORD_HEAT = 30;

/** Handlers that belong to no instruction: their indices in the table. */
export const HANDLER_UNDEFINED = 0; // #UD
export const HANDLER_PROTECTION = 1; // #GP: an instruction longer than 15 bytes
/** Looks its own address up again: the end of a page, and records whose code has changed. */
export const HANDLER_RESUME = 2;
/** Continues at the linked record: a block that runs into known code. */
export const HANDLER_GOTO = 3;
/** Computes CpuState.ea from base, index, displacement and the segment base in `first`. */
export const HANDLER_EA = 4;
/** The same with a 32-bit address. */
export const HANDLER_EA32 = 5;
export const FIRST_HANDLER = 6;
