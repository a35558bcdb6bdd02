/**
 * Runs of SSE arithmetic: instructions behind each other in a block that are translated under an assumption
 * (`semantics/float_assumed.ts`) which the code looks at once, at the end of the run. Where it does not hold, or an access
 * within the run gives up, everything is as it was at the beginning of the run, and the interpreter goes on from there:
 * so a run has nothing in it that cannot be taken back. If that happens often, the region is made again with the other
 * assumption, and then without one.
 */

import { FORM_PD, FORM_PS, FORM_SD, FORM_SS } from '../../x86/sse/exact.ts';
import type { Assumption, Statement } from '../../x86/statement.ts';
import { is_idle, keeps_flags } from './flow.ts';
import type { Insn, Region } from './region.ts';
import { assuming_template, gpr_of, is_flags_field, touches_flags, xmm_of } from './template.ts';

export interface Run {
  readonly assumption: Exclude<Assumption, 'none'>;
  readonly insns: readonly Insn[];
  readonly first: Insn;
  readonly last: Insn;
  /** Arithmetic whose results need no look, since a later result is not finite unless they are. */
  readonly covered: ReadonlySet<Insn>;
}

/** Address of the instruction that the region gives up at when this one does. */
export function begins_at({ rip, run }: Insn): number {
  return run?.first.rip ?? rip;
}

/** Elements that a form works on: FORM_* by the suffix of the mnemonic. */
const SUFFIXES: Readonly<Record<string, number>> = { ps: FORM_PS, pd: FORM_PD, ss: FORM_SS, sd: FORM_SD };

function form_of({ template }: Insn): number {
  return SUFFIXES[template!.form.row.semantics.slice(-2)] as number;
}

/** Whether what a statement does stays in locals, and flags that somebody looks at stay as they are. */
function can_be_taken_back(s: Statement, insn: Insn): boolean {
  switch (s.kind) {
    case 'let':
    case 'set':
    case 'copy':
    case 'read_register':
    case 'register_number':
    case 'address':
    case 'load':
    case 'raise':
      return true;
    case 'write_register': {
      const { cls } = insn.operands[s.operand]!;
      return cls === 'xmm' || cls === 'gpr';
    }
    case 'cpu_load':
      return s.dynamic === null && !is_flags_field(s.offset);
    case 'cpu_store':
      return s.dynamic === null && (gpr_of(s.offset) >= 0 || xmm_of(s.offset) >= 0);
    case 'lazy_flags':
      return !insn.live_flags || keeps_flags(s, insn);
    case 'if':
      if (touches_flags(s)) return is_idle(s, insn);
      return [...s.body, ...s.otherwise].every((inner) => can_be_taken_back(inner, insn));
    default:
      return false;
  }
}

/** Whether an instruction other than arithmetic may lie within a run. */
function is_harmless(insn: Insn): boolean {
  const { template } = insn;
  return template?.ir.body.every((s) => can_be_taken_back(s, insn)) === true;
}

/** Whether a result of arithmetic comes to another one's that is not finite unless it is: before it is written over. */
function is_covered(insns: readonly Insn[], at: number, arithmetic: ReadonlySet<Insn>): boolean {
  const { reg } = insns[at]!.operands[0]!;
  // The lesser of two numbers says nothing of the other.
  if (/^(min|max)/.test(insns[at]!.template!.form.row.semantics)) return false;
  const form = form_of(insns[at]!);
  for (const insn of insns.slice(at + 1)) {
    const { semantics } = insn.template!.form.row;
    const of = (number: number): boolean => {
      const operand = insn.operands[number];
      return operand?.kind === 'reg' && operand.cls === 'xmm' && operand.reg === reg;
    };
    if (arithmetic.has(insn)) {
      const mine = form_of(insn);
      const all = mine === form || (mine === FORM_PD && form === FORM_SD) || (mine === FORM_PS && form === FORM_SS);
      if (all && of(1) && !semantics.startsWith('div')) return true;
      if (all && of(0) && !semantics.startsWith('sqrt')) return true;
      if (of(0)) return false;
    } else if (of(0) && insn.template!.form.operands[0]!.access !== 'r') return false;
    else if (insn.template!.ir.body.some((s) => s.kind === 'cpu_store' && xmm_of(s.offset) >= 0)) return false;
  }
  return false;
}

function make_run(list: readonly Insn[], arithmetic: ReadonlySet<Insn>, assumption: Run['assumption']): void {
  const last = list.findLastIndex((insn) => arithmetic.has(insn));
  const insns = list.slice(0, last + 1);
  for (const insn of insns) if (arithmetic.has(insn)) insn.template = assuming_template(insn.template!, assumption);
  const covered = new Set(insns.filter((insn, i) => arithmetic.has(insn) && is_covered(insns, i, arithmetic)));
  const run = { assumption, insns, first: insns[0] as Insn, last: insns[last] as Insn, covered };
  for (const insn of insns) insn.run = run;
}

/**
 * Finds the runs of a region, whose live flags are known, and gives arithmetic in them its templates. `assumption_at`
 * says what may be assumed of arithmetic at an address.
 */
export function find_runs(region: Region, assumption_at: (rip: number) => Assumption): void {
  for (const { insns } of region.blocks) {
    let list: Insn[] = [];
    let arithmetic = new Set<Insn>();
    let assumption: Assumption = 'none';
    const end = (): void => {
      if (assumption !== 'none') make_run(list, arithmetic, assumption);
      list = [];
      arithmetic = new Set();
      assumption = 'none';
    };
    for (const insn of insns) {
      const here = insn.template === null ? 'none' : assumption_at(insn.rip);
      if (here !== 'none' && assuming_template(insn.template!, here) !== null) {
        if (assumption !== here) end();
        assumption = here;
        arithmetic.add(insn);
        list.push(insn);
      } else if (assumption !== 'none' && is_harmless(insn)) list.push(insn);
      else end();
    }
    end();
  }
}
