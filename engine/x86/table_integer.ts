/**
 * General-purpose instructions of 64-bit user mode. Source: Intel SDM volume 2, cross-read with AMD's volume 3.
 */
import {
  ATTR_ALIGNED,
  ATTR_BRANCH,
  ATTR_DEFAULT_64,
  ATTR_FORCE_64,
  ATTR_LOCK,
  ATTR_REP,
  ATTR_UNDEFINED,
} from './instruction.ts';
import { conditional, flags, NO_FLAGS, type RowSource, row, SETS_ALL } from './row.ts';

const LOGIC = flags('', 'OSZPC', 'A');
const WITH_CARRY = flags('C', 'OSZAPC');
const KEEPS_CARRY = flags('', 'OSZAP');
const MULTIPLY = flags('', 'OC', 'SZAP');
const DIVIDE = flags('', '', 'OSZAPC');
// A count of zero keeps every flag, so all that are written are read too.
const SHIFT = flags('OSZAPC', 'OSZPC', 'OAC');
const ROTATE = flags('OC', 'OC', 'O');
const SHIFT_ONE = flags('', 'OSZPC', 'A');
const BIT_TEST = flags('', 'C', 'OSAP');
const BIT_SCAN = flags('', 'Z', 'OSAPC');
const STRING = flags('D', '');
// With a repeat prefix and a count of zero nothing is compared and every flag stays.
const STRING_COMPARE = flags('DOSZAPC', 'OSZAPC');

const NEAR = ATTR_BRANCH | ATTR_FORCE_64;

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, '0');
}

/** The nine encodings of add, or, adc, sbb, and, sub, xor, cmp. */
function alu(name: string, digit: number, use = SETS_ALL, mark = '+', lock = ATTR_LOCK): RowSource[] {
  const at = (offset: number) => hex(digit * 8 + offset);
  return [
    row(name, `${at(0)} /r`, `Eb${mark},Gb`, use, lock),
    row(name, `${at(1)} /r`, `Ev${mark},Gv`, use, lock),
    row(name, `${at(2)} /r`, `Gb${mark},Eb`, use),
    row(name, `${at(3)} /r`, `Gv${mark},Ev`, use),
    row(name, `${at(4)} ib`, `AL${mark},Ib`, use),
    row(name, `${at(5)} iz`, `rAX${mark},Iz`, use),
    row(name, `80 /${digit} ib`, `Eb${mark},Ib`, use, lock),
    row(name, `81 /${digit} iz`, `Ev${mark},Iz`, use, lock),
    row(name, `83 /${digit} ib`, `Ev${mark},Ibs`, use, lock),
  ];
}

/** The six encodings of a shift or rotate. */
function shift(name: string, digit: number, use = SHIFT, one = SHIFT_ONE, semantics = name.toLowerCase()): RowSource[] {
  return [
    row(name, `C0 /${digit} ib`, 'Eb+,Ib', use, 0, semantics),
    row(name, `C1 /${digit} ib`, 'Ev+,Ib', use, 0, semantics),
    row(name, `D0 /${digit}`, 'Eb+,1', one, 0, semantics),
    row(name, `D1 /${digit}`, 'Ev+,1', one, 0, semantics),
    row(name, `D2 /${digit}`, 'Eb+,CL', use, 0, semantics),
    row(name, `D3 /${digit}`, 'Ev+,CL', use, 0, semantics),
  ];
}

/** bt, bts, btr, btc. */
function bit(name: string, opcode: string, digit: number, mark: string, lock: number): RowSource[] {
  return [
    row(name, `0F ${opcode} /r`, `Ev${mark},Gv`, BIT_TEST, lock),
    row(name, `0F BA /${digit} ib`, `Ev${mark},Ib`, BIT_TEST, lock),
  ];
}

/** The byte and the wider form of a string instruction. Its operands are implied. */
function string(name: string, opcode: number, use = STRING): RowSource[] {
  return [row(`${name}B`, hex(opcode), 'b', use, ATTR_REP, name.toLowerCase())].concat(
    row(name, hex(opcode + 1), '', use, ATTR_REP),
  );
}

const ARITHMETIC: RowSource[] = [
  ...alu('ADD', 0),
  ...alu('OR', 1, LOGIC),
  ...alu('ADC', 2, WITH_CARRY),
  ...alu('SBB', 3, WITH_CARRY),
  ...alu('AND', 4, LOGIC),
  ...alu('SUB', 5),
  ...alu('XOR', 6, LOGIC),
  ...alu('CMP', 7, SETS_ALL, '', 0),
  row('TEST', '84 /r', 'Eb,Gb', LOGIC),
  row('TEST', '85 /r', 'Ev,Gv', LOGIC),
  row('TEST', 'A8 ib', 'AL,Ib', LOGIC),
  row('TEST', 'A9 iz', 'rAX,Iz', LOGIC),
  row('TEST', 'F6 /0 ib', 'Eb,Ib', LOGIC),
  row('TEST', 'F6 /1 ib', 'Eb,Ib', LOGIC),
  row('TEST', 'F7 /0 iz', 'Ev,Iz', LOGIC),
  row('TEST', 'F7 /1 iz', 'Ev,Iz', LOGIC),
  row('NOT', 'F6 /2', 'Eb+', NO_FLAGS, ATTR_LOCK),
  row('NOT', 'F7 /2', 'Ev+', NO_FLAGS, ATTR_LOCK),
  row('NEG', 'F6 /3', 'Eb+', SETS_ALL, ATTR_LOCK),
  row('NEG', 'F7 /3', 'Ev+', SETS_ALL, ATTR_LOCK),
  row('MUL', 'F6 /4', 'Eb', MULTIPLY),
  row('MUL', 'F7 /4', 'Ev', MULTIPLY),
  row('IMUL', 'F6 /5', 'Eb', MULTIPLY),
  row('IMUL', 'F7 /5', 'Ev', MULTIPLY),
  row('IMUL', '0F AF /r', 'Gv+,Ev', MULTIPLY),
  row('IMUL', '69 /r iz', 'Gv=,Ev,Iz', MULTIPLY),
  row('IMUL', '6B /r ib', 'Gv=,Ev,Ibs', MULTIPLY),
  row('DIV', 'F6 /6', 'Eb', DIVIDE),
  row('DIV', 'F7 /6', 'Ev', DIVIDE),
  row('IDIV', 'F6 /7', 'Eb', DIVIDE),
  row('IDIV', 'F7 /7', 'Ev', DIVIDE),
  row('INC', 'FE /0', 'Eb+', KEEPS_CARRY, ATTR_LOCK),
  row('INC', 'FF /0', 'Ev+', KEEPS_CARRY, ATTR_LOCK),
  row('DEC', 'FE /1', 'Eb+', KEEPS_CARRY, ATTR_LOCK),
  row('DEC', 'FF /1', 'Ev+', KEEPS_CARRY, ATTR_LOCK),
  ...shift('ROL', 0, ROTATE, flags('', 'OC')),
  ...shift('ROR', 1, ROTATE, flags('', 'OC')),
  ...shift('RCL', 2, ROTATE, flags('C', 'OC')),
  ...shift('RCR', 3, ROTATE, flags('C', 'OC')),
  ...shift('SHL', 4),
  ...shift('SHR', 5),
  ...shift('SAL', 6, SHIFT, SHIFT_ONE, 'shl'),
  ...shift('SAR', 7),
  row('SHLD', '0F A4 /r ib', 'Ev+,Gv,Ib', SHIFT),
  row('SHLD', '0F A5 /r', 'Ev+,Gv,CL', SHIFT),
  row('SHRD', '0F AC /r ib', 'Ev+,Gv,Ib', SHIFT),
  row('SHRD', '0F AD /r', 'Ev+,Gv,CL', SHIFT),
  ...bit('BT', 'A3', 4, '', 0),
  ...bit('BTS', 'AB', 5, '+', ATTR_LOCK),
  ...bit('BTR', 'B3', 6, '+', ATTR_LOCK),
  ...bit('BTC', 'BB', 7, '+', ATTR_LOCK),
  // A source of zero leaves the destination as it is. F3 (tzcnt, lzcnt) is ignored: no BMI1, no LZCNT.
  row('BSF', '0F BC /r', 'Gv+,Ev', BIT_SCAN),
  row('BSR', '0F BD /r', 'Gv+,Ev', BIT_SCAN),
  row('BSWAP', '0F C8+r', 'Zv+'),
  row('XADD', '0F C0 /r', 'Eb+,Gb+', SETS_ALL, ATTR_LOCK),
  row('XADD', '0F C1 /r', 'Ev+,Gv+', SETS_ALL, ATTR_LOCK),
  row('CMPXCHG', '0F B0 /r', 'Eb+,Gb', SETS_ALL, ATTR_LOCK),
  row('CMPXCHG', '0F B1 /r', 'Ev+,Gv', SETS_ALL, ATTR_LOCK),
  row('CMPXCHG8B', '0F C7 /1', 'Mq+', flags('', 'Z'), ATTR_LOCK),
  row('CBW', '98'), // cbw, cwde, cdqe by operand size
  row('CWD', '99'), // cwd, cdq, cqo by operand size
  row('CMC', 'F5', '', flags('C', 'C')),
  row('CLC', 'F8', '', flags('', 'C')),
  row('STC', 'F9', '', flags('', 'C')),
  row('CLD', 'FC', '', flags('', 'D')),
  row('STD', 'FD', '', flags('', 'D')),
];

const MOVES: RowSource[] = [
  row('MOV', '88 /r', 'Eb=,Gb'),
  row('MOV', '89 /r', 'Ev=,Gv'),
  row('MOV', '8A /r', 'Gb=,Eb'),
  row('MOV', '8B /r', 'Gv=,Ev'),
  row('MOV', '8C /r', 'Rv=,Sw', NO_FLAGS, 0, 'mov_from_segment'),
  row('MOV', '8C /r', 'Mw=,Sw', NO_FLAGS, 0, 'mov_from_segment'),
  row('MOV', '8E /r', 'Sw=,Rv', NO_FLAGS, 0, 'mov_to_segment'),
  row('MOV', '8E /r', 'Sw=,Mw', NO_FLAGS, 0, 'mov_to_segment'),
  row('MOV', 'A0', 'AL=,Ob'),
  row('MOV', 'A1', 'rAX=,Ov'),
  row('MOV', 'A2', 'Ob=,AL'),
  row('MOV', 'A3', 'Ov=,rAX'),
  row('MOV', 'B0+r ib', 'Zb=,Ib'),
  row('MOV', 'B8+r iv', 'Zv=,Iv'),
  row('MOV', 'C6 /0 ib', 'Eb=,Ib'),
  row('MOV', 'C7 /0 iz', 'Ev=,Iz'),
  row('MOVSXD', '63 /r', 'Gv=,Ez'),
  row('MOVZX', '0F B6 /r', 'Gv=,Eb'),
  row('MOVZX', '0F B7 /r', 'Gv=,Ew'),
  row('MOVSX', '0F BE /r', 'Gv=,Eb'),
  row('MOVSX', '0F BF /r', 'Gv=,Ew'),
  row('LEA', '8D /r', 'Gv=,Mn-'),
  row('XCHG', '86 /r', 'Eb+,Gb+', NO_FLAGS, ATTR_LOCK),
  row('XCHG', '87 /r', 'Ev+,Gv+', NO_FLAGS, ATTR_LOCK),
  row('XCHG', '90+r', 'Zv+,rAX+'),
  ...conditional('CMOV', '0F ', 0x40, ' /r', 'Gv+,Ev'),
  ...conditional('SET', '0F ', 0x90, ' /r', 'Eb='),
  row('PUSH', '50+r', 'Zv', NO_FLAGS, ATTR_DEFAULT_64),
  row('PUSH', '68 iz', 'Iz', NO_FLAGS, ATTR_DEFAULT_64),
  row('PUSH', '6A ib', 'Ibs', NO_FLAGS, ATTR_DEFAULT_64),
  row('PUSH', 'FF /6', 'Ev', NO_FLAGS, ATTR_DEFAULT_64),
  row('PUSH', '0F A0', 'FS', NO_FLAGS, ATTR_DEFAULT_64, 'push_segment'),
  row('PUSH', '0F A8', 'GS', NO_FLAGS, ATTR_DEFAULT_64, 'push_segment'),
  row('POP', '58+r', 'Zv=', NO_FLAGS, ATTR_DEFAULT_64),
  row('POP', '8F /0', 'Ev=', NO_FLAGS, ATTR_DEFAULT_64),
  row('POP', '0F A1', 'FS=', NO_FLAGS, ATTR_DEFAULT_64, 'pop_segment'),
  row('POP', '0F A9', 'GS=', NO_FLAGS, ATTR_DEFAULT_64, 'pop_segment'),
  row('PUSHF', '9C', '', flags('OSZAPCD', ''), ATTR_DEFAULT_64),
  row('POPF', '9D', '', flags('', 'OSZAPCD'), ATTR_DEFAULT_64),
  row('LAHF', '9F', '', flags('SZAPC', '')),
  row('SAHF', '9E', '', flags('', 'SZAPC')),
  row('ENTER', 'C8 iw ib', 'Iw,Ib', NO_FLAGS, ATTR_DEFAULT_64),
  row('LEAVE', 'C9', '', NO_FLAGS, ATTR_DEFAULT_64),
  row('XLATB', 'D7', 'b', NO_FLAGS, 0, 'xlat'),
  ...string('MOVS', 0xa4),
  ...string('CMPS', 0xa6, STRING_COMPARE),
  ...string('STOS', 0xaa),
  ...string('LODS', 0xac),
  ...string('SCAS', 0xae, STRING_COMPARE),
];

const BRANCHES: RowSource[] = [
  ...conditional('J', '', 0x70, ' cb', 'Jb', NEAR),
  ...conditional('J', '0F ', 0x80, ' cd', 'Jd', NEAR),
  row('LOOPNE', 'E0 cb', 'Jb', flags('Z', ''), NEAR),
  row('LOOPE', 'E1 cb', 'Jb', flags('Z', ''), NEAR),
  row('LOOP', 'E2 cb', 'Jb', NO_FLAGS, NEAR),
  row('JRCXZ', 'E3 cb', 'Jb', NO_FLAGS, NEAR),
  row('JMP', 'EB cb', 'Jb', NO_FLAGS, NEAR),
  row('JMP', 'E9 cd', 'Jd', NO_FLAGS, NEAR),
  row('JMP', 'FF /4', 'Ev', NO_FLAGS, NEAR),
  row('CALL', 'E8 cd', 'Jd', NO_FLAGS, NEAR),
  row('CALL', 'FF /2', 'Ev', NO_FLAGS, NEAR),
  row('RET', 'C3', '', NO_FLAGS, NEAR),
  row('RET', 'C2 iw', 'Iw', NO_FLAGS, NEAR),
  row('CALLF', 'FF /3', 'Mn', NO_FLAGS, ATTR_BRANCH),
  row('JMPF', 'FF /5', 'Mn', NO_FLAGS, ATTR_BRANCH),
  row('RETF', 'CB', '', NO_FLAGS, ATTR_BRANCH),
  row('RETF', 'CA iw', 'Iw', NO_FLAGS, ATTR_BRANCH),
  row('INT3', 'CC', '', NO_FLAGS, ATTR_BRANCH),
  row('INT', 'CD ib', 'Ib', NO_FLAGS, ATTR_BRANCH),
  row('INT1', 'F1', '', NO_FLAGS, ATTR_BRANCH),
  row('IRET', 'CF', '', flags('', 'OSZAPCD'), ATTR_BRANCH),
  row('UD2', '0F 0B', '', NO_FLAGS, ATTR_BRANCH | ATTR_UNDEFINED),
  row('UD1', '0F B9 /r', 'Gv-,Ev-', NO_FLAGS, ATTR_BRANCH | ATTR_UNDEFINED),
  row('UD0', '0F FF /r', 'Gv-,Ev-', NO_FLAGS, ATTR_BRANCH | ATTR_UNDEFINED),
];

/** Hints and reserved no-operations. Their memory operand is not accessed. */
const HINTS: RowSource[] = [
  row('NOP', '90'),
  row('PAUSE', 'F3 90'),
  // Intel executes every form of 0F 0D as a hint.
  row('PREFETCHW', '0F 0D /1', 'Mb-', NO_FLAGS, 0, 'nop'),
  row('PREFETCH', '0F 0D /r', 'Mb-', NO_FLAGS, 0, 'nop'),
  row('RESERVEDNOP', '0F 0D /r', 'Rv-,Gv-', NO_FLAGS, 0, 'nop'),
  row('PREFETCHNTA', '0F 18 /0', 'Mb-', NO_FLAGS, 0, 'nop'),
  row('PREFETCHT0', '0F 18 /1', 'Mb-', NO_FLAGS, 0, 'nop'),
  row('PREFETCHT1', '0F 18 /2', 'Mb-', NO_FLAGS, 0, 'nop'),
  row('PREFETCHT2', '0F 18 /3', 'Mb-', NO_FLAGS, 0, 'nop'),
  row('ENDBR64', 'F3 0F 1E FA', '', NO_FLAGS, 0, 'nop'),
  row('ENDBR32', 'F3 0F 1E FB', '', NO_FLAGS, 0, 'nop'),
  ...['18', '19', '1A', '1B', '1C', '1D', '1E'].map((opcode) =>
    row('RESERVEDNOP', `0F ${opcode} /r`, 'Ev-,Gv-', NO_FLAGS, 0, 'nop'),
  ),
  row('NOP', '0F 1F /0', 'Ev-'),
  row('RESERVEDNOP', '0F 1F /r', 'Ev-,Gv-', NO_FLAGS, 0, 'nop'),
];

/** Rows of feature 'base'. */
export const INTEGER_ROWS: readonly RowSource[] = [...ARITHMETIC, ...MOVES, ...BRANCHES, ...HINTS];

/** Integer rows that came with later features. */
export const INTEGER_FEATURE_ROWS: Readonly<Record<string, readonly RowSource[]>> = {
  cx16: [row('CMPXCHG16B', 'REX.W 0F C7 /1', 'Mx+', flags('', 'Z'), ATTR_LOCK | ATTR_ALIGNED)],
  popcnt: [row('POPCNT', 'F3 0F B8 /r', 'Gv=,Ev', SETS_ALL)],
  sse2: [row('MOVNTI', 'NP 0F C3 /r', 'My=,Gy', NO_FLAGS, 0, 'mov')],
  'sse4.2': [row('CRC32', 'F2 0F 38 F0 /r', 'Gy+,Eb', NO_FLAGS), row('CRC32', 'F2 0F 38 F1 /r', 'Gy+,Ev', NO_FLAGS)],
};
