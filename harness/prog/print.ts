/**
 * The text of a program, in syzkaller's grammar:
 *
 *     program = { call "\n" }
 *     call    = [ name "=" ] call-name "(" [ arg { ", " arg } ] ")" [ " (" property { ", " property } ")" ]
 *     arg     = 0x2a                                 a number
 *             | r0 [ "/" number ] [ "+" number ]     what a call made, divided and added to
 *             | <r1=>0xffffffffffffffff              a number that the call writes to memory, with a name
 *             | &(0x7f0000000040)[=pointee]          a pointer; left out, the pointee is the default one; nil is none
 *             | &(0x7f0000001000/0x3000)=nil         pages
 *             | 'text\x00' | "0011aabb" | ""/16      bytes as text or hex; /n: their number, zeros at the end left out
 *             | {arg, arg} | [arg, arg] | @name[=arg]   struct, array, union
 *             | ANY=[@ANYBLOB="00", @ANYRES32=r0]    squashed memory (any.ts)
 *     property = async | fail_nth: 3
 *
 * Fields at the end of a struct that have default values are left out. Names of results count up from r0.
 */
import {
  type Arg,
  type Call,
  type DataArg,
  data_size,
  is_any,
  is_default,
  type PointerArg,
  type Program,
  type ResultArg,
} from './model.ts';
import { for_each_arg } from './walk.ts';

/** What the text shows for offset 0 of the data area: the address that syzkaller's texts use. */
export const TEXT_BASE = 0x7f00_0000_0000;

/** The text of a program; one line a call. */
export function print_program(program: Program): string {
  const names = name_results(program);
  return program.calls.map((call) => `${print_named(call, names)}\n`).join('');
}

/** One call as text, with the names that results have in its program. */
export function print_call(program: Program, index: number): string {
  return print_named(program.calls[index]!, name_results(program));
}

type Names = ReadonlyMap<ResultArg, string>;

function name_results(program: Program): Names {
  const names = new Map<ResultArg, string>();
  for (const call of program.calls)
    for_each_arg(call, (node) => {
      if (node.kind === 'result' && node.users.size > 0) names.set(node, `r${names.size}`);
    });
  return names;
}

function print_named(call: Call, names: Names): string {
  const name = call.result === undefined ? undefined : names.get(call.result);
  const made = name === undefined ? '' : `${name} = `;
  const args = call.args.map((node) => print_arg(node, names)).join(', ');
  return `${made}${call.description.name}(${args})${print_properties(call)}`;
}

function print_properties({ properties }: Call): string {
  const words = [];
  if (properties.async) words.push('async');
  if (properties.fail_nth > 0) words.push(`fail_nth: ${properties.fail_nth}`);
  return words.length === 0 ? '' : ` (${words.join(', ')})`;
}

function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

function print_arg(node: Arg, names: Names): string {
  switch (node.kind) {
    case 'number':
      return hex(node.value);
    case 'result':
      return print_result(node, names);
    case 'data':
      return print_data(node);
    case 'pointer':
      return print_pointer(node, names);
    case 'group': {
      const inner = shown(node.inner, node.type.kind === 'struct').map((child) => print_arg(child, names));
      return node.type.kind === 'struct' ? `{${inner.join(', ')}}` : `[${inner.join(', ')}]`;
    }
    case 'union': {
      const name = `@${node.type.fields[node.option]!.name}`;
      return is_default(node.inner) ? name : `${name}=${print_arg(node.inner, names)}`;
    }
  }
}

/** The fields that a struct's text shows: not the default ones at its end. */
function shown(nodes: readonly Arg[], is_struct: boolean): readonly Arg[] {
  let count = nodes.length;
  while (is_struct && count > 0 && is_default(nodes[count - 1]!)) count--;
  return nodes.slice(0, count);
}

function print_result(node: ResultArg, names: Names): string {
  const own = names.get(node);
  const label = own === undefined ? '' : `<${own}=>`;
  if (node.source === undefined) return `${label}${hex(node.value)}`;
  const divide = node.divide === 0n ? '' : `/${node.divide}`;
  const add = node.add === 0n ? '' : `+${node.add}`;
  return `${label}${names.get(node.source)}${divide}${add}`;
}

function print_pointer(node: PointerArg, names: Names): string {
  if (node.special !== undefined) return hex(node.special);
  const address = hex(TEXT_BASE + node.address);
  if (node.type.kind === 'vma') return `&(${address}/${hex(node.vma_size)})=nil`;
  if (node.pointee === undefined) return `&(${address})=nil`;
  if (is_any(node.pointee)) return `&(${address})=ANY=${print_arg(node.pointee, names)}`;
  if (is_default(node.pointee) && !has_bytes(node.pointee)) return `&(${address})`;
  return `&(${address})=${print_arg(node.pointee, names)}`;
}

/** A text that is the only one possible is shown nevertheless: it says which device. */
function has_bytes(node: Arg): boolean {
  return node.kind === 'data' && node.bytes.length > 0;
}

const ESCAPES: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  39: "\\'",
  92: '\\\\',
};

/** Fewer bytes of a blob that can be read are chance. */
const SHORTEST_TEXT = 3;

/** Zeros at the end from this many on are written as a length. */
const LONG_ZEROS = 16;

function print_data(node: DataArg): string {
  if (node.dir === 'out') return `""/${data_size(node)}`;
  let end = node.bytes.length;
  while (end > 0 && node.bytes[end - 1] === 0) end--;
  const cut = node.bytes.length - end >= LONG_ZEROS;
  const bytes = cut ? node.bytes.subarray(0, end) : node.bytes;
  const readable = is_text(bytes) && (node.type.content !== 'blob' || bytes.length >= SHORTEST_TEXT);
  const text = readable ? print_text(bytes) : print_hex(bytes);
  return cut ? `${text}/${node.bytes.length}` : text;
}

/** True for something to read: printable to its end, but for zeros there. */
function is_text(bytes: Uint8Array): boolean {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return (
    end > 0 && bytes.subarray(0, end).every((byte) => (byte >= 0x20 && byte < 0x7f) || ESCAPES[byte] !== undefined)
  );
}

function print_text(bytes: Uint8Array): string {
  const parts = [...bytes].map((byte) => {
    const short = ESCAPES[byte];
    if (short !== undefined) return short;
    if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
    return `\\x${HEX[byte]}`;
  });
  return `'${parts.join('')}'`;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function print_hex(bytes: Uint8Array): string {
  let digits = '';
  for (const byte of bytes) digits += HEX[byte];
  return `"${digits}"`;
}
