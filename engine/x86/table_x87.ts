/**
 * x87 instructions, the undocumented aliases that processors execute included (DC D0, DC D8, DE D0
 * fcom and fcomp, DD C8, DF C8 fxch, DF D0, DF D8 fstp; fstpnce, ffreep). Source: Intel SDM volume 2 and appendix A.5.
 *
 * The mnemonic of a memory form says nothing about the format: the semantics do. `fadd` and friends take a float or a
 * double by operand size, `fiadd` and friends a 16- or 32-bit integer, `fld` and `fstp` 4, 8 or 10 bytes.
 */
import { AF, CF, OF, PF, SF, ZF } from './instruction.ts';
import { condition_flags, type FlagUse, NO_FLAGS, type RowSource, row } from './row.ts';

const COMPARE: FlagUse = { reads: 0, writes: CF | PF | ZF | OF | SF | AF, undefines: 0 };
const ARITHMETIC = ['ADD', 'MUL', 'COM', 'COMP', 'SUB', 'SUBR', 'DIV', 'DIVR'];

function mark_of(name: string): string {
  return name.startsWith('COM') ? '' : '+';
}

/** fadd to fdivr with one memory operand; `prefix` is F or FI. */
function memory(prefix: string, opcode: string, operand: string): RowSource[] {
  return ARITHMETIC.map((name, digit) => row(prefix + name, `${opcode} /${digit}`, operand));
}

/** An instruction on ST(i): eight encodings. */
function stack(name: string, encoding: string, operands: string, semantics = name.toLowerCase()): RowSource {
  return row(name, `${encoding}+i`, operands, NO_FLAGS, 0, semantics);
}

function move(condition: string, encoding: string, code: number): RowSource {
  return row(`FCMOV${condition}`, `${encoding}+i`, 'ST0+,Tt', condition_flags(code), 0, 'fcmovcc', code);
}

function compare(name: string, encoding: string): RowSource {
  return row(name, `${encoding}+i`, 'ST0,Tt', COMPARE);
}

function hex(value: number): string {
  return value.toString(16).toUpperCase();
}

/** Instructions without operands, from D9 `first` on; `.` is a gap. */
function plain(first: number, names: string): RowSource[] {
  const rows: RowSource[] = [];
  names.split(' ').forEach((name, n) => {
    if (name !== '.') rows.push(row(name, `D9 ${hex(first + n)}`));
  });
  return rows;
}

const LOADS: RowSource[] = [
  row('FLD', 'D9 /0', 'Md'),
  row('FLD', 'DD /0', 'Mq'),
  row('FLD', 'DB /5', 'Mt'),
  row('FST', 'D9 /2', 'Md='),
  row('FST', 'DD /2', 'Mq='),
  row('FSTP', 'D9 /3', 'Md='),
  row('FSTP', 'DD /3', 'Mq='),
  row('FSTP', 'DB /7', 'Mt='),
  row('FILD', 'DF /0', 'Mw'),
  row('FILD', 'DB /0', 'Md'),
  row('FILD', 'DF /5', 'Mq'),
  row('FIST', 'DF /2', 'Mw='),
  row('FIST', 'DB /2', 'Md='),
  row('FISTP', 'DF /3', 'Mw='),
  row('FISTP', 'DB /3', 'Md='),
  row('FISTP', 'DF /7', 'Mq='),
  row('FBLD', 'DF /4', 'Mt'),
  row('FBSTP', 'DF /6', 'Mt='),
  stack('FLD', 'D9 C0', 'Tt'),
  stack('FXCH', 'D9 C8', 'ST0+,Tt+'),
  stack('FXCH', 'DD C8', 'ST0+,Tt+'),
  stack('FXCH', 'DF C8', 'ST0+,Tt+'),
  stack('FST', 'DD D0', 'Tt='),
  stack('FSTP', 'DD D8', 'Tt='),
  stack('FSTPNCE', 'D9 D8', 'Tt=', 'fstpnce'), // fstp that does not signal an empty source
  stack('FSTP', 'DF D0', 'Tt='),
  stack('FSTP', 'DF D8', 'Tt='),
  stack('FFREE', 'DD C0', 'Tt-'),
  stack('FFREEP', 'DF C0', 'Tt-'),
  move('B', 'DA C0', 2),
  move('E', 'DA C8', 4),
  move('BE', 'DA D0', 6),
  move('U', 'DA D8', 10),
  move('NB', 'DB C0', 3),
  move('NE', 'DB C8', 5),
  move('NBE', 'DB D0', 7),
  move('NU', 'DB D8', 11),
];

const CALCULATIONS: RowSource[] = [
  ...memory('F', 'D8', 'Md'),
  ...memory('F', 'DC', 'Mq'),
  ...memory('FI', 'DA', 'Md'),
  ...memory('FI', 'DE', 'Mw'),
  ...ARITHMETIC.map((name, n) => stack(`F${name}`, `D8 ${hex(0xc0 + n * 8)}`, `ST0${mark_of(name)},Tt`)),
  stack('FADD', 'DC C0', 'Tt+,ST0'),
  stack('FMUL', 'DC C8', 'Tt+,ST0'),
  stack('FCOM', 'DC D0', 'ST0,Tt'),
  stack('FCOMP', 'DC D8', 'ST0,Tt'),
  stack('FCOMP', 'DE D0', 'ST0,Tt'),
  stack('FSUBR', 'DC E0', 'Tt+,ST0'),
  stack('FSUB', 'DC E8', 'Tt+,ST0'),
  stack('FDIVR', 'DC F0', 'Tt+,ST0'),
  stack('FDIV', 'DC F8', 'Tt+,ST0'),
  stack('FADDP', 'DE C0', 'Tt+,ST0'),
  stack('FMULP', 'DE C8', 'Tt+,ST0'),
  stack('FSUBRP', 'DE E0', 'Tt+,ST0'),
  stack('FSUBP', 'DE E8', 'Tt+,ST0'),
  stack('FDIVRP', 'DE F0', 'Tt+,ST0'),
  stack('FDIVP', 'DE F8', 'Tt+,ST0'),
  row('FCOMPP', 'DE D9'),
  row('FUCOMPP', 'DA E9'),
  stack('FUCOM', 'DD E0', 'ST0,Tt'),
  stack('FUCOMP', 'DD E8', 'ST0,Tt'),
  compare('FUCOMI', 'DB E8'),
  compare('FCOMI', 'DB F0'),
  compare('FUCOMIP', 'DF E8'),
  compare('FCOMIP', 'DF F0'),
  ...plain(0xe0, 'FCHS FABS . . FTST FXAM'),
  ...plain(0xe8, 'FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ'),
  ...plain(0xf0, 'F2XM1 FYL2X FPTAN FPATAN FXTRACT FPREM1 FDECSTP FINCSTP'),
  ...plain(0xf8, 'FPREM FYL2XP1 FSQRT FSINCOS FRNDINT FSCALE FSIN FCOS'),
];

const CONTROL: RowSource[] = [
  row('FNOP', 'D9 D0'),
  row('FWAIT', '9B'),
  row('FLDCW', 'D9 /5', 'Mw'),
  row('FNSTCW', 'D9 /7', 'Mw='),
  // 28 bytes (14 with operand size 2), and 108 (94): environment, and environment with registers.
  row('FLDENV', 'D9 /4', 'Mn'),
  row('FNSTENV', 'D9 /6', 'Mn='),
  row('FRSTOR', 'DD /4', 'Mn'),
  row('FNSAVE', 'DD /6', 'Mn='),
  row('FNSTSW', 'DD /7', 'Mw='),
  row('FNSTSW', 'DF E0', 'AX='),
  row('FNCLEX', 'DB E2'),
  row('FNINIT', 'DB E3'),
  // 8087 and 287 controls: no operation since the 387.
  row('FENI', 'DB E0', '', NO_FLAGS, 0, 'fnop'),
  row('FDISI', 'DB E1', '', NO_FLAGS, 0, 'fnop'),
  row('FSETPM', 'DB E4', '', NO_FLAGS, 0, 'fnop'),
];

const SSE3: RowSource[] = [row('FISTTP', 'DF /1', 'Mw='), row('FISTTP', 'DB /1', 'Md='), row('FISTTP', 'DD /1', 'Mq=')];

/** By feature. */
export const X87_ROWS: Readonly<Record<string, readonly RowSource[]>> = {
  x87: [...LOADS, ...CALCULATIONS, ...CONTROL],
  sse3: SSE3,
};
