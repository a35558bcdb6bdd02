/**
 * Generates the interpreter's module: shared functions, one handler for each distinct form of the instruction table,
 * and a custom section that maps (row, variant) to the handler's index. Runs at build time and in tests; the same
 * sources always give the same bytes.
 */
import { CpuState } from '../../machine/cpu.layout.ts';
import { Vcpu } from '../../machine/vcpu.layout.ts';
import type { Code, FunctionRef } from '../../wasm/code.ts';
import { ModuleBuilder } from '../../wasm/module.ts';
import { HELPERS } from '../../x86/helpers.ts';
import { ATTR_PRIVILEGED, ATTR_UNDEFINED, type Row } from '../../x86/instruction.ts';
import { Ir, type Routine, type Semantics, VECTOR_GP, VECTOR_UD } from '../../x86/ir.ts';
import { CONDITIONS } from '../../x86/row.ts';
import { semantics_of } from '../../x86/semantics/all.ts';
import { ROWS } from '../../x86/table.ts';
import { AHEAD, CPU, dispatch, dispatch_ahead, FUEL, HANDLER_PARAMS, OP, push_rip, retire, VCPU } from './dispatch.ts';
import { form_of, VARIANT_MEMORY, VARIANT_NO_INDEX, variants_of } from './forms.ts';
import { fused_conditions, fused_semantics } from './fuse.ts';
import { type Callees, Lower } from './lower.ts';
import {
  FIRST_HANDLER,
  HANDLER_PROTECTION,
  HANDLER_UNDEFINED,
  RECORD_BASE,
  RECORD_DISPLACEMENT,
  RECORD_FIRST,
  RECORD_INDEX,
  RECORD_LINK,
  RECORD_POSITION,
  RECORD_SCALE,
} from './record.ts';
import { export_runtime } from './runtime.ts';
import { FUSED_SECTION, HANDLER_SECTION } from './section.ts';
import { define_shared, import_hooks, type Shared } from './shared.ts';

/** 64 KiB pages of the largest machine memory. */
const MEMORY_PAGES = 65536;
function define_raise(m: ModuleBuilder, shared: Shared, vector: number): FunctionRef {
  const f = m.declare(`raise_${vector}`, HANDLER_PARAMS, ['i32']);
  const c = m.code(f);
  c.get(VCPU).i32(vector).op('i32.store', Vcpu.exception.offset);
  c.get(OP).get(CPU).get(VCPU).get(FUEL).get(AHEAD).return_call(shared.exception);
  m.define(f, c);
  return f;
}

function define_resume(m: ModuleBuilder, shared: Shared): FunctionRef {
  const f = m.declare('resume', HANDLER_PARAMS, ['i32']);
  const c = m.code(f);
  retire(c, 0);
  c.get(CPU).get(VCPU).get(FUEL);
  push_rip(c);
  c.return_call(shared.behind);
  m.define(f, c);
  return f;
}

function define_goto(m: ModuleBuilder, shared: Shared): FunctionRef {
  const f = m.declare('goto', HANDLER_PARAMS, ['i32']);
  const c = m.code(f);
  retire(c, 0);
  c.get(OP).op('i32.load', RECORD_LINK).tee(OP).op('i32.load8_u', RECORD_POSITION).get(FUEL).op('i32.add').set(FUEL);
  dispatch(c, shared.handler_type);
  m.define(f, c);
  return f;
}

function define_ea(m: ModuleBuilder, shared: Shared, narrow: boolean): FunctionRef {
  const f = m.declare(narrow ? 'ea32' : 'ea', HANDLER_PARAMS, ['i32']);
  const c = m.code(f);
  const slot = (at: number): Code => c.get(CPU).get(OP).op('i32.load16_u', at).op('i32.add').op('i64.load');
  c.get(CPU);
  slot(RECORD_BASE);
  slot(RECORD_INDEX).get(OP).op('i64.load8_u', RECORD_SCALE).op('i64.shl').op('i64.add');
  c.get(OP).op('i64.load', RECORD_DISPLACEMENT).op('i64.add');
  if (narrow) c.i64(0xffff_ffffn).op('i64.and');
  slot(RECORD_FIRST).op('i64.add').op('i64.store', CpuState.ea.offset);
  dispatch_ahead(c, shared.handler_type);
  m.define(f, c);
  return f;
}

/** Generates routines on first use. */
class RoutineTable implements Callees {
  private readonly defined = new Map<string, FunctionRef>();
  private readonly helpers: ReadonlyMap<string, FunctionRef>;
  private readonly m: ModuleBuilder;
  private readonly shared: Shared;

  constructor(m: ModuleBuilder, shared: Shared, helpers: ReadonlyMap<string, FunctionRef>) {
    this.m = m;
    this.shared = shared;
    this.helpers = helpers;
  }

  helper(name: string): FunctionRef {
    const found = this.helpers.get(name);
    if (found === undefined) throw new Error(`no helper is called ${name}`);
    return found;
  }

  /** Exports what has been made so far. */
  export_all(): void {
    for (const [name, f] of this.defined) this.m.export_function(name, f);
  }

  routine(routine: Routine): FunctionRef {
    const known = this.defined.get(routine.name);
    if (known !== undefined) return known;
    const results = routine.result === null ? [] : [routine.result];
    const f = this.m.declare(routine.name, ['i32', ...routine.params], results);
    this.defined.set(routine.name, f);
    const ir = new Ir(null);
    const result = routine.body(ir, ir.parameters(routine.params));
    if (result !== undefined) result.uses++;
    const code = this.m.code(f);
    const lower = new Lower(code, { shared: this.shared, callees: this, form: null, indexed: false });
    lower.parameter_count = routine.params.length;
    lower.routine(ir, result);
    this.m.define(f, code);
    return f;
  }
}

export interface Generated {
  readonly bytes: Uint8Array;
  /** Semantics keys of the table that have no semantics yet; their handler raises #UD. */
  readonly missing: readonly string[];
  readonly handlers: number;
}

function name_of(row: Row, variant: number): string {
  const form = form_of(row, variant);
  const operands = form.operands.map((operand) => `${operand.kind}${operand.size * 8}`).join('_');
  const marks = `${form.lock ? '_lock' : ''}${form.rep === 'none' ? '' : `_${form.rep}`}`;
  return `${row.mnemonic.toLowerCase()}_${operands === '' ? form.operand_size * 8 : operands}${marks}`;
}

class Generator {
  readonly m = new ModuleBuilder();
  readonly table: FunctionRef[] = [];
  readonly missing = new Set<string>();
  private readonly shared: Shared;
  private readonly callees: RoutineTable;
  private readonly by_body = new Map<string, number>();

  constructor() {
    const { m } = this;
    m.import_memory('env', 'memory', MEMORY_PAGES);
    const imports = import_hooks(m);
    const helpers = new Map<string, FunctionRef>();
    for (const [name, helper] of Object.entries(HELPERS)) {
      const results = helper.result === null ? [] : [helper.result];
      helpers.set(name, m.import_function('helpers', name, ['i32', ...helper.params], results));
    }
    const shared = define_shared(m, imports);
    this.shared = shared;
    this.callees = new RoutineTable(m, shared, helpers);
    this.table.push(
      define_raise(m, shared, VECTOR_UD),
      define_raise(m, shared, VECTOR_GP),
      define_resume(m, shared),
      define_goto(m, shared),
      define_ea(m, shared, false),
      define_ea(m, shared, true),
    );
    if (this.table.length !== FIRST_HANDLER) throw new Error('special handlers and their numbers differ');
  }

  /** Index of the handler of a form; equal bodies share one. */
  handler(row: Row, variant: number): number {
    if ((row.attributes & ATTR_UNDEFINED) !== 0 || row.semantics === 'undefined') return HANDLER_UNDEFINED;
    if ((row.attributes & ATTR_PRIVILEGED) !== 0) return HANDLER_PROTECTION;
    const semantics = semantics_of(row.semantics);
    if (semantics === undefined) {
      this.missing.add(row.semantics);
      return HANDLER_UNDEFINED;
    }
    return this.add(row, variant, semantics, name_of(row, variant), false);
  }

  /** Handlers of a form fused with the conditional branches behind it, as section entries. */
  fused(row: Row, variant: number): number[] {
    const entries: number[] = [];
    for (const code of fused_conditions(row, variant, form_of(row, variant))) {
      const name = `${name_of(row, variant)}_j${CONDITIONS[code]!.toLowerCase()}`;
      const handler = this.add(row, variant, (ir) => fused_semantics(ir, code), name, true);
      entries.push(row.id & 0xff, row.id >> 8, variant, code, handler & 0xff, handler >> 8);
    }
    return entries;
  }

  private add(row: Row, variant: number, semantics: Semantics, name: string, fused: boolean): number {
    const form = form_of(row, variant);
    const ir = new Ir(form);
    semantics(ir);
    const { m } = this;
    const code = m.code({ index: -1, name: '', type: this.shared.handler_type });
    const indexed = (variant & VARIANT_MEMORY) !== 0 && (variant & VARIANT_NO_INDEX) === 0;
    new Lower(code, { shared: this.shared, callees: this.callees, form, indexed, fused }).handler(ir);
    const body = code.finish();
    const key = String.fromCharCode(...body);
    let index = this.by_body.get(key);
    if (index === undefined) {
      const f = m.declare(name, HANDLER_PARAMS, ['i32']);
      m.define_bytes(f, body);
      index = this.table.length;
      this.table.push(f);
      this.by_body.set(key, index);
    }
    return index;
  }

  finish(entries: readonly number[], fused: readonly number[]): Uint8Array {
    this.m.set_table(this.table);
    this.m.export_function('run', this.shared.run);
    this.callees.export_all();
    export_runtime(this.m, this.shared, (routine) => this.callees.routine(routine), this.table.length);
    this.m.custom(HANDLER_SECTION, new Uint8Array(entries));
    this.m.custom(FUSED_SECTION, new Uint8Array(fused));
    return this.m.build();
  }
}

/** The whole module. */
export function generate_interpreter(): Generated {
  const generator = new Generator();
  const entries: number[] = [];
  const fused: number[] = [];
  for (const row of ROWS) {
    for (const variant of variants_of(row)) {
      const handler = generator.handler(row, variant);
      entries.push(row.id & 0xff, row.id >> 8, variant, 0, handler & 0xff, handler >> 8);
      fused.push(...generator.fused(row, variant));
    }
  }
  const bytes = generator.finish(entries, fused);
  return { bytes, missing: [...generator.missing].sort(), handlers: generator.table.length };
}
