/**
 * The IR as text, a statement a line: for `tvisor debug` and the expect tests. Values that are used once stand where they
 * are used; others have a number.
 */
import { CpuState } from '../machine/cpu.layout.ts';
import { gpr_name } from './disassembler.ts';
import {
  FLAGS_ADC,
  FLAGS_ADD,
  FLAGS_DEC,
  FLAGS_INC,
  FLAGS_LOGIC,
  FLAGS_RAW,
  FLAGS_SAR,
  FLAGS_SBB,
  FLAGS_SHL,
  FLAGS_SHR,
  FLAGS_SUB,
} from './flags.ts';
import type { Ir, Value } from './ir.ts';
import type { Statement } from './statement.ts';

const FLAGS_NAMES: Readonly<Record<number, string>> = {
  [FLAGS_RAW]: 'raw',
  [FLAGS_LOGIC]: 'logic',
  [FLAGS_ADD]: 'add',
  [FLAGS_SUB]: 'sub',
  [FLAGS_ADC]: 'adc',
  [FLAGS_SBB]: 'sbb',
  [FLAGS_INC]: 'inc',
  [FLAGS_DEC]: 'dec',
  [FLAGS_SHL]: 'shl',
  [FLAGS_SHR]: 'shr',
  [FLAGS_SAR]: 'sar',
};
/** Condition codes as Jcc has them. */
const CONDITIONS = 'o no b ae e ne be a s ns p np l ge le g'.split(' ');
const GPR_END = CpuState.gpr.offset + 128;
const XMM_END = CpuState.xmm.offset + 256;

/** The field of the register record at an offset. */
function field_text(offset: number): string {
  if (offset >= CpuState.gpr.offset && offset < GPR_END) {
    const number = (offset - CpuState.gpr.offset) >> 3;
    return place(gpr_name(number, 8), (offset - CpuState.gpr.offset) & 7);
  }
  if (offset >= CpuState.xmm.offset && offset < XMM_END) {
    const at = offset - CpuState.xmm.offset;
    return place(`xmm${at >> 4}`, at & 15);
  }
  for (const name of ['flags_result', 'flags_aux', 'rip', 'fs_base', 'gs_base', 'mxcsr', 'scratch', 'df'] as const) {
    const from = CpuState[name].offset;
    if (offset === from || (name === 'scratch' && offset > from && offset < from + 64))
      return place(name, offset - from);
  }
  return `cpu+${offset}`;
}

function place(name: string, offset: number): string {
  return offset === 0 ? name : `${name}+${offset}`;
}

/** Masks and addresses in hexadecimal. */
function constant_text({ type, constant }: Value): string {
  const integer = type === 'i32' || type === 'i64' || type === 'v128';
  if (!integer || (constant <= 0xffff && constant >= -0xffff)) return String(constant);
  const bits = type === 'i32' ? 32 : type === 'i64' ? 64 : 128;
  return `0x${BigInt.asUintN(bits, BigInt(constant)).toString(16)}`;
}

class Printer {
  private readonly numbers = new Map<Value, number>();
  readonly lines: string[] = [];

  list(list: readonly Statement[], indent: string): void {
    for (const statement of list) this.statement(statement, indent);
  }

  private name(value: Value): string {
    let number = this.numbers.get(value);
    if (number === undefined) {
      number = this.numbers.size;
      this.numbers.set(value, number);
    }
    return `v${number}`;
  }

  private value(value: Value): string {
    if (value.kind === 'leaf') return value.leaf as string;
    if (value.kind === 'const') return constant_text(value);
    return value.kind === 'op' && value.uses < 2 ? this.operation(value) : this.name(value);
  }

  private operation({ op, lanes, args }: Value): string {
    return `${op?.name}${lanes.length > 0 ? `[${lanes.join(' ')}]` : ''}(${this.all(args)})`;
  }

  private all(values: readonly Value[]): string {
    return values.map((value) => this.value(value)).join(', ');
  }

  private cpu(offset: number, dynamic: Value | null): string {
    return dynamic === null ? field_text(offset) : `cpu[${offset} + ${this.value(dynamic)}]`;
  }

  private statement(s: Statement, indent: string): void {
    if (s.kind === 'if') {
      this.lines.push(`${indent}if ${this.value(s.condition)}${s.unlikely ? ', rarely' : ''}`);
      this.list(s.body, `${indent}  `);
      if (s.otherwise.length > 0) this.lines.push(`${indent}else`);
      this.list(s.otherwise, `${indent}  `);
    } else if (s.kind === 'loop') {
      this.lines.push(`${indent}loop ${s.id}`);
      this.list(s.body, `${indent}  `);
    } else {
      const text = this.simple(s) ?? this.memory(s) ?? this.rest(s);
      if (text !== '') this.lines.push(indent + text);
    }
  }

  /** Values, variables, registers and flags; null for other statements. */
  private simple(s: Statement): string | null {
    switch (s.kind) {
      case 'let':
        return s.value.uses < 2 ? '' : `${this.name(s.value)} = ${this.operation(s.value)}`;
      case 'set':
        return `variable${s.variable.local} = ${this.value(s.value)}`;
      case 'copy':
        return `${this.name(s.result)} = variable${s.variable.local}`;
      case 'read_register':
        return `${this.name(s.result)} = ${s.op.name} operand${s.operand}${s.lane_offset > 0 ? `+${s.lane_offset}` : ''}`;
      case 'write_register':
        return `${s.op.name} operand${s.operand}${s.lane_offset > 0 ? `+${s.lane_offset}` : ''} = ${this.value(s.value)}`;
      case 'register_number':
        return `${this.name(s.result)} = number of operand${s.operand}`;
      case 'cpu_load':
        return `${this.name(s.result)} = ${s.op.name} ${this.cpu(s.offset, s.dynamic)}`;
      case 'cpu_store':
        return `${s.op.name} ${this.cpu(s.offset, s.dynamic)} = ${this.value(s.value)}`;
      case 'lazy_flags':
        return `flags = ${FLAGS_NAMES[s.op]}.${s.size}(${this.all(s.args)})`;
      case 'flag':
        return `${this.name(s.result)} = flag ${s.name}`;
      case 'condition':
        return `${this.name(s.result)} = condition ${CONDITIONS[s.code]}`;
      default:
        return null;
    }
  }

  /** Guest memory. */
  private memory(s: Statement): string | null {
    switch (s.kind) {
      case 'address':
        return `${this.name(s.result)} = address`;
      case 'load':
        return `${this.name(s.result)} = ${s.op.name} [${this.value(s.address)}], ${s.size} bytes`;
      case 'store':
        return `${s.op.name} [${this.value(s.address)}], ${s.size} bytes = ${this.value(s.value)}`;
      case 'resolve':
        return `${this.name(s.result)} = resolve [${this.value(s.address)}], ${s.size} bytes${s.write ? ', for writing' : ''}`;
      case 'raw_load':
        return `${this.name(s.result)} = ${s.op.name} at ${this.value(s.pointer)}`;
      case 'raw_store':
        return `${s.op.name} at ${this.value(s.pointer)} = ${this.value(s.value)}`;
      case 'raw_bulk':
        return `${s.op.name}(${this.all(s.args)})`;
      case 'lock_begin':
        return `${this.name(s.result)} = lock at ${this.value(s.pointer)}, ${s.size} bytes`;
      case 'lock_end':
        return `unlock at ${this.value(s.pointer)}: ${this.value(s.expected)} -> ${this.value(s.value)}`;
      case 'swap_16':
        return `${this.name(s.result)} = swap_16 at ${this.value(s.pointer)}`;
      default:
        return null;
    }
  }

  /** Control and calls. */
  private rest(s: Statement): string {
    switch (s.kind) {
      case 'raise':
        return `raise ${s.vector}${s.behind ? ' behind' : ''}`;
      case 'helper':
        return `${s.result === null ? '' : `${this.name(s.result)} = `}helper ${s.name}(${this.all(s.args)})`;
      case 'helper_raise':
        return `raise if helper ${s.name}(${this.all(s.args)})`;
      case 'call':
        return `${s.result === null ? '' : `${this.name(s.result)} = `}call ${s.routine.name}(${this.all(s.args)})`;
      case 'branch':
        return s.condition === null ? 'branch' : `branch if ${this.value(s.condition)}`;
      case 'assume':
        return `assume ${s.what}: ${this.value(s.value)}`;
      case 'known':
        return `operand0 is ${s.what}`;
      case 'jump':
        return `jump ${this.value(s.target)}`;
      case 'continue':
      case 'break':
        return `${s.kind} ${s.id}${s.condition === null ? '' : ` if ${this.value(s.condition)}`}`;
      default:
        return s.kind;
    }
  }
}

/** The lines of an instruction's IR, without newlines. */
export function ir_text(ir: Ir): string[] {
  const printer = new Printer();
  printer.list(ir.body, '');
  return printer.lines;
}
