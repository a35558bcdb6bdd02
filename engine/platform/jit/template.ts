/**
 * The IR of each form as the translator uses it: built once with lazy flags, and looked through for what the analyses
 * of a region ask of every instruction.
 */
import { CpuState } from '../../machine/cpu.layout.ts';
import { FLAGS_DEC, FLAGS_INC } from '../../x86/flags.ts';
import { HELPERS } from '../../x86/helpers.ts';
import { ATTR_BRANCH, ATTR_PRIVILEGED, ATTR_UNDEFINED, ATTR_X87, type Row } from '../../x86/instruction.ts';
import { type Form, Ir, type Value } from '../../x86/ir.ts';
import { semantics_of } from '../../x86/semantics/all.ts';
import type { Assumption, Statement } from '../../x86/statement.ts';
import { form_of, VARIANTS } from '../interp/forms.ts';

const FLAGS_FIELDS: ReadonlySet<number> = new Set([CpuState.flags_result.offset, CpuState.flags_aux.offset]);
const GPR_END = CpuState.gpr.offset + 128;
const XMM_END = CpuState.xmm.offset + 256;

/** Whether a field offset belongs to the flags. */
export function is_flags_field(offset: number): boolean {
  return FLAGS_FIELDS.has(offset);
}

/** Number of the general register that holds a field offset, or -1. */
export function gpr_of(offset: number): number {
  return offset >= CpuState.gpr.offset && offset < GPR_END ? (offset - CpuState.gpr.offset) >> 3 : -1;
}

/** Number of the xmm register that holds a field offset, or -1. */
export function xmm_of(offset: number): number {
  return offset >= CpuState.xmm.offset && offset < XMM_END ? (offset - CpuState.xmm.offset) >> 4 : -1;
}

export interface Template {
  readonly form: Form;
  readonly ir: Ir;
  /** Translated at all; otherwise the interpreter runs the instruction. */
  readonly translated: boolean;
  /** Results of register reads that a write overtakes: they are copied. */
  readonly copied: ReadonlySet<Value>;
  /** It goes on piece by piece (REP), with fuel and interrupts looked at in between. */
  readonly repeats: boolean;
  /** Guest code may be left at the instruction. */
  readonly may_leave: boolean;
  /** ... other than by its accesses to memory, and how many of those it has. */
  readonly raises: boolean;
  readonly accesses: number;
  /** Looks at flags, or keeps some of those that were. */
  readonly reads_flags: boolean;
  /** Statements at the top level that set all flags without a look at the old ones. */
  readonly sets_flags: boolean;
  /** `if` statements that do nothing but write flags. */
  readonly flags_only: ReadonlySet<Statement>;
  /** Key of the form. */
  readonly key: number;
}

/** Helpers that touch nothing but scratch and MXCSR. */
function is_scratch_helper(name: string): boolean {
  return name.startsWith('sse_') && HELPERS[name] !== undefined;
}

/** Statements that the translator leaves to the interpreter. */
const LEFT: ReadonlySet<Statement['kind']> = new Set(['swap_16']);
const LEAVES: ReadonlySet<Statement['kind']> = new Set(['load', 'store', 'resolve', 'raise', 'helper_raise']);

class Analysis {
  readonly copied = new Set<Value>();
  readonly flags_only = new Set<Statement>();
  translated = true;
  repeats = false;
  loops = false;
  may_leave = false;
  raises = false;
  accesses = 0;
  reads_flags = false;
  sets_flags = false;
  private at = 0;
  private readonly reads: { value: Value; at: number }[] = [];
  private readonly writes: number[] = [];
  private readonly last_use = new Map<Value, number>();

  run(body: readonly Statement[]): void {
    this.list(body, true);
    // A loop without looks at fuel might run for long.
    if (this.loops && !this.repeats) this.translated = false;
    for (const { value, at } of this.reads) {
      const last = this.last_use.get(value) ?? -1;
      if (this.writes.some((write) => write > at && write < last)) this.copied.add(value);
    }
  }

  private use(v: Value): void {
    if (v.kind === 'local') this.last_use.set(v, this.at);
    // A value used more than once is computed where it was made.
    else if (v.kind === 'op' && v.uses < 2) for (const arg of v.args) this.use(arg);
  }

  private list(list: readonly Statement[], top: boolean): void {
    for (const s of list) {
      this.at++;
      this.statement(s, top);
    }
  }

  /** What is written anywhere in a loop is written before whatever is read in it. */
  private loop(body: readonly Statement[]): void {
    const { at, writes } = this;
    const before = writes.length;
    this.loops = true;
    this.list(body, false);
    if (writes.length > before) writes.push(at);
  }

  private statement(s: Statement, top: boolean): void {
    if (LEFT.has(s.kind)) this.translated = false;
    if (LEAVES.has(s.kind)) this.may_leave = true;
    if (s.kind === 'raise' || s.kind === 'helper_raise') this.raises = true;
    else if (LEAVES.has(s.kind)) this.accesses++;
    switch (s.kind) {
      case 'loop':
        this.loop(s.body);
        return;
      case 'repeat':
        this.repeats = true;
        return;
      case 'let':
        if (s.value.uses >= 2) for (const arg of s.value.args) this.use(arg);
        return;
      case 'if': {
        this.use(s.condition);
        this.list(s.body, false);
        this.list(s.otherwise, false);
        if (s.otherwise.length === 0 && s.body.some(touches_flags) && s.body.every(is_flags_statement))
          this.flags_only.add(s);
        if (touches_flags(s)) this.reads_flags = true;
        return;
      }
      case 'read_register':
        this.reads.push({ value: s.result, at: this.at });
        return;
      case 'cpu_load':
        if (is_flags_field(s.offset)) this.reads_flags = true;
        else if (s.dynamic === null) this.reads.push({ value: s.result, at: this.at });
        break;
      case 'cpu_store':
        this.writes.push(this.at);
        // Both fields are stored, or only the second one, and then after a look at it.
        if (s.offset === CpuState.flags_result.offset && top) this.sets_flags = true;
        break;
      case 'write_register':
        this.writes.push(this.at);
        break;
      case 'lazy_flags':
        if (top) this.sets_flags = true;
        if (s.op === FLAGS_INC || s.op === FLAGS_DEC) this.reads_flags = true;
        break;
      case 'flag':
      case 'condition':
        this.reads_flags = true;
        break;
      case 'helper':
      case 'helper_raise':
        if (!is_scratch_helper(s.name)) this.translated = false;
        break;
    }
    for (const v of operands_of(s)) this.use(v);
  }
}

/** Pure, or a write of flags. */
function is_flags_statement(s: Statement): boolean {
  if (s.kind === 'cpu_store') return is_flags_field(s.offset);
  if (s.kind === 'cpu_load') return s.dynamic === null;
  return ['let', 'lazy_flags', 'flag', 'condition', 'set', 'copy', 'read_register'].includes(s.kind);
}

/** Whether the statement, or one in it, has to do with flags. */
export function touches_flags(s: Statement): boolean {
  if (s.kind === 'if') return s.body.some(touches_flags) || s.otherwise.some(touches_flags);
  if (s.kind === 'loop') return s.body.some(touches_flags);
  if (s.kind === 'cpu_store' || s.kind === 'cpu_load') return is_flags_field(s.offset);
  return s.kind === 'lazy_flags' || s.kind === 'flag' || s.kind === 'condition';
}

/** The values that a statement itself uses. */
function operands_of(s: Statement): readonly Value[] {
  const out: Value[] = [];
  const fields = s as Readonly<Record<string, unknown>>;
  for (const name of ['value', 'condition', 'address', 'pointer', 'expected', 'target', 'dynamic']) {
    const v = fields[name];
    if (v !== undefined && v !== null) out.push(v as Value);
  }
  const args = fields.args;
  if (args !== undefined) out.push(...(args as readonly Value[]));
  return out;
}

/** Templates that have been made, by what is assumed, then by key; with an assumption, null where it changes nothing. */
const templates: Readonly<Record<Assumption, Map<number, Template | null>>> = {
  none: new Map(),
  noted: new Map(),
  exact: new Map(),
};

/** What is remembered of a form under an assumption, made where there is nothing yet. */
function remembered(assumption: Assumption, key: number, made: () => Template | null): Template | null {
  let template = templates[assumption].get(key);
  if (template === undefined) {
    template = made();
    templates[assumption].set(key, template);
  }
  return template;
}

function key_of(row: Row, variant: number): number {
  return row.id * VARIANTS + variant;
}

function make(row: Row, variant: number, assumption: Assumption): Template | null {
  if ((row.attributes & (ATTR_UNDEFINED | ATTR_PRIVILEGED | ATTR_X87)) !== 0) return null;
  const semantics = semantics_of(row.semantics);
  if (semantics === undefined) return null;
  const form = form_of(row, variant);
  const ir = new Ir(form, true, assumption);
  semantics(ir);
  const analysis = new Analysis();
  analysis.run(ir.body);
  if (form.operands.filter((operand) => operand.kind === 'reg').some((o) => o.cls === 'segment')) return null;
  const { translated, repeats, copied, may_leave, raises, accesses, reads_flags, sets_flags, flags_only } = analysis;
  const left = !translated || ((row.attributes & ATTR_BRANCH) !== 0 && !BRANCHES.has(row.semantics));
  if (left) return null;
  const key = key_of(row, variant);
  return {
    form,
    ir,
    translated,
    repeats,
    copied,
    may_leave,
    raises,
    accesses,
    reads_flags,
    sets_flags,
    flags_only,
    key,
  };
}

/** Semantics that heed `Ir.assumption`. */
const ASSUMES = /^(add|sub|mul|div|min|max|sqrt)[ps][sd]$/;

/** Branches that regions know how to end a block with. */
const BRANCHES: ReadonlySet<string> = new Set([
  'jcc',
  'jmp',
  'call',
  'ret',
  'loop',
  'loope',
  'loopne',
  'jrcxz',
  'syscall',
]);

/** The template of a form; null where the interpreter runs it. */
export function template_of(row: Row, variant: number): Template | null {
  return remembered('none', key_of(row, variant), () => make(row, variant, 'none'));
}

/** The same form under an assumption; null where that changes nothing. */
export function assuming_template(template: Template, assumption: Exclude<Assumption, 'none'>): Template | null {
  const { key, form } = template;
  return remembered(assumption, key, () => {
    const made = ASSUMES.test(form.row.semantics) ? make(form.row, key % VARIANTS, assumption) : null;
    // Where it does not hold the instruction counts as not begun, whatever it leaves by.
    return made && { ...made, may_leave: true };
  });
}
