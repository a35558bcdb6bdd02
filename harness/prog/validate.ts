/**
 * What every program keeps: each node fits its type, memory lies inside the data area, references lead to earlier
 * calls and are known at both ends. Generation and every transformation must leave a valid program; tests validate
 * after each.
 */
import type { Target } from '../desc/target.ts';
import { type Field, fixed_size, resource_root, type Type } from '../desc/types.ts';
import { ANY_ARRAY, is_any_resource } from './any.ts';
import {
  type Arg,
  type Call,
  DATA_SIZE,
  type DataArg,
  type GroupArg,
  is_any,
  MAX_FAIL_NTH,
  PAGE_SIZE,
  type PointerArg,
  type Program,
  type ResultArg,
} from './model.ts';
import { allowed, allowed_bytes } from './number.ts';
import { size_of } from './size.ts';
import { for_each_arg } from './walk.ts';

/** Throws an Error that says which call and argument breaks which rule. */
export function validate_program(target: Target, program: Program): void {
  const earlier = new Set<ResultArg>();
  const present = new Set<ResultArg>();
  for (const call of program.calls) for_each_result(call, (node) => present.add(node));
  for (const [i, call] of program.calls.entries()) {
    const where = `call ${i} (${call.description.name})`;
    new CallValidator(where, earlier, present).check(target, call);
    if (call.description.traits.terminal && i !== program.calls.length - 1)
      throw new Error(`${where}: ends the program, and calls follow`);
    for_each_result(call, (node) => earlier.add(node));
  }
}

function for_each_result(call: Call, visit: (node: ResultArg) => void): void {
  for_each_arg(call, (node) => {
    if (node.kind === 'result') visit(node);
  });
}

class CallValidator {
  private readonly where: string;
  private readonly earlier: ReadonlySet<ResultArg>;
  private readonly present: ReadonlySet<ResultArg>;
  private readonly seen = new Set<Arg>();

  constructor(where: string, earlier: ReadonlySet<ResultArg>, present: ReadonlySet<ResultArg>) {
    this.where = where;
    this.earlier = earlier;
    this.present = present;
  }

  check(target: Target, call: Call): void {
    const { description, properties } = call;
    if (target.by_name.get(description.name) !== description) this.fail('not a call of the target');
    if (call.args.length !== description.args.length)
      this.fail(`${call.args.length} arguments, not ${description.args.length}`);
    if ((call.result === undefined) !== (description.result === undefined)) this.fail('wrong kind of result');
    const { fail_nth } = properties;
    if (!Number.isInteger(fail_nth) || fail_nth < 0 || fail_nth > MAX_FAIL_NTH) this.fail('fail_nth is not a count');
    if (call.result !== undefined) this.result(call.result);
    this.fields(call.args, description.args, 'in');
  }

  private fail(message: string): never {
    throw new Error(`${this.where}: ${message}`);
  }

  private expect(condition: boolean, message: string): void {
    if (!condition) this.fail(message);
  }

  private fields(nodes: readonly Arg[], fields: readonly Field[], dir: Arg['dir']): void {
    this.expect(nodes.length === fields.length, `${nodes.length} fields, not ${fields.length}`);
    for (const [i, node] of nodes.entries()) {
      const field = fields[i]!;
      this.node(node, field.type, field.dir ?? dir, field.name);
    }
  }

  private node(node: Arg, type: Type, dir: Arg['dir'], name: string): void {
    this.expect(!this.seen.has(node), `${name}: the node stands at two places`);
    this.seen.add(node);
    this.expect(node.type === type, `${name}: has the type of another argument (${node.type.kind}, not ${type.kind})`);
    this.expect(node.dir === dir, `${name}: direction ${node.dir}, not ${dir}`);
    switch (node.kind) {
      case 'number':
        this.expect(node.value === BigInt.asUintN(64, node.value), `${name}: more than 64 bits`);
        this.expect(
          allowed(node.type, node.value) || dir === 'out',
          `${name}: 0x${node.value.toString(16)} is not allowed`,
        );
        break;
      case 'result':
        this.result(node);
        break;
      case 'data':
        this.data(node, name);
        break;
      case 'pointer':
        this.pointer(node, name);
        break;
      case 'group':
        this.group(node, name);
        break;
      case 'union': {
        const field = node.type.fields[node.option];
        if (field === undefined) this.fail(`${name}: no option ${node.option}`);
        this.node(node.inner, field.type, field.dir ?? dir, field.name);
        break;
      }
    }
  }

  private result(node: ResultArg): void {
    const kind = node.type.resource.name;
    for (const user of node.users) {
      this.expect(user.source === node, `${kind}: a user does not refer to it`);
      this.expect(this.present.has(user), `${kind}: a user is not in the program`);
    }
    const { source } = node;
    if (source === undefined) {
      this.expect(node.divide === 0n && node.add === 0n, `${kind}: arithmetic without a source`);
      return;
    }
    this.expect(this.earlier.has(source), `${kind}: uses what no earlier call makes`);
    this.expect(source.users.has(node), `${kind}: its source does not know it`);
    const any = is_any_resource(node.type) || is_any_resource(source.type);
    const same = resource_root(source.type.resource) === resource_root(node.type.resource);
    this.expect(any || same, `${kind}: uses a ${source.type.resource.name}`);
  }

  private data(node: DataArg, name: string): void {
    const fixed = fixed_size(node.type);
    const size = size_of(node);
    this.expect(fixed === undefined || size === fixed, `${name}: ${size} bytes, not ${fixed}`);
    this.expect(node.dir !== 'out' || node.bytes.length === 0, `${name}: bytes for the kernel to write`);
    this.expect(size <= DATA_SIZE, `${name}: larger than the data area`);
    this.expect(node.dir === 'out' || allowed_bytes(node.type, node.bytes), `${name}: these bytes are not allowed`);
  }

  private pointer(node: PointerArg, name: string): void {
    if (node.special !== undefined) {
      this.expect(
        node.pointee === undefined && node.vma_size === 0 && node.address === 0,
        `${name}: special, and more`,
      );
      return;
    }
    const size = node.pointee === undefined ? node.vma_size : size_of(node.pointee);
    const inside = Number.isInteger(node.address) && node.address >= 0 && node.address + size <= DATA_SIZE;
    this.expect(inside, `${name}: outside the data area`);
    if (node.type.kind === 'vma') {
      this.expect(node.address % PAGE_SIZE === 0 && node.vma_size % PAGE_SIZE === 0, `${name}: not whole pages`);
      this.expect(node.pointee === undefined, `${name}: pages have no pointee`);
    } else {
      this.expect(node.vma_size === 0, `${name}: a pointer with pages`);
      if (node.pointee === undefined) return;
      if (is_any(node.pointee)) this.node(node.pointee, ANY_ARRAY, 'in', name);
      else this.node(node.pointee, node.type.elem, node.type.dir, name);
    }
  }

  private group(node: GroupArg, name: string): void {
    if (node.type.kind === 'struct') {
      this.fields(node.inner, node.type.fields, node.dir);
      return;
    }
    const { elem, min, max } = node.type;
    const fixed = min === max;
    this.expect(!fixed || node.inner.length === min, `${name}: ${node.inner.length} elements, not ${min}`);
    for (const child of node.inner) this.node(child, elem, node.dir, name);
  }
}
