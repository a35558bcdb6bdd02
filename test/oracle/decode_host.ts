/**
 * Compares the decoder with the host CPU: what it refuses with #UD, and how long the instructions are that it runs.
 *
 * Strings that could enter the kernel or leave the snippet are left out, and those that only extensions give a meaning.
 */
import { Prng } from '../../engine/base/prng.ts';
import { decode, new_instruction, UNDEFINED } from '../../engine/x86/decoder.ts';
import { disassemble } from '../../engine/x86/disassembler.ts';
import { ATTR_BRANCH, ATTR_UNDEFINED, type Instruction } from '../../engine/x86/instruction.ts';
import { DecodeGenerator, SLOT } from './decode_generator.ts';
import { DecodeOracle } from './decode_oracle.ts';
import { type Outcome, run_native, type Snippet } from './native.ts';
import { random_state, window_image } from './values.ts';

const LONGEST = 15;
const VECTOR_INT3 = 3;
const VECTOR_UD = 6;
const VECTOR_GP = 13;

/** What the decoder made of a snippet. */
interface Expectation {
  readonly length: number;
  readonly undefined: boolean;
  readonly text: string;
}

/** Compares up to `count` random strings. Answers how many ran and what differs. */
export function check_on_host(seed: number, count: number): { ran: number; problems: string[] } {
  const prng = new Prng(seed);
  const random = (): number => prng.u32() >>> 1;
  const bytes = new Uint8Array(count * SLOT);
  new DecodeGenerator(seed).fill(bytes);
  const oracle = new DecodeOracle();
  oracle.load(bytes);
  const out = new_instruction();
  const snippets: Snippet[] = [];
  const expectations: Expectation[] = [];
  for (let at = 0; at < bytes.length; at += SLOT) {
    oracle.compare(at);
    const length = decode(bytes, at, at + SLOT, out);
    const string = bytes.slice(at, at + LONGEST);
    if (!harmless(string, length, out) || (length === UNDEFINED && oracle.iced_length > 0)) continue;
    snippets.push({ code: length > 0 ? string.subarray(0, length) : string, state: random_state(random) });
    expectations.push({
      length,
      undefined: length === UNDEFINED || (length > 0 && (out.row.attributes & ATTR_UNDEFINED) !== 0),
      text: `${hex(string)}: ${length > 0 ? disassemble(out, 0n) : `(${length})`}`,
    });
  }
  oracle.free();
  const outcomes = run_native(snippets, window_image(random));
  const problems: string[] = [];
  outcomes.forEach((outcome, n) => {
    const problem = difference(expectations[n]!, snippets[n]!, outcome);
    if (problem !== '') problems.push(`${expectations[n]!.text}: ${problem}`);
  });
  return { ran: outcomes.length, problems };
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

function difference(expected: Expectation, snippet: Snippet, outcome: Outcome): string {
  const { vector } = outcome;
  if (expected.undefined) {
    // An undefined opcode in a string of more than 15 bytes is #GP before it is #UD.
    return vector === VECTOR_UD || vector === VECTOR_GP ? '' : `the host runs it: vector ${vector}`;
  }
  if (vector === VECTOR_UD) return 'the host does not know it';
  if (expected.length < 0) return vector === VECTOR_GP ? '' : `too long, but the host says vector ${vector}`;
  const length = Number(outcome.state.rip - snippet.state.rip) - 1;
  return vector === VECTOR_INT3 && length !== expected.length ? `${length} bytes on the host` : '';
}

/** False for bytes that may call the kernel, leave the code page or change segments, wherever in the string. */
function harmless(string: Uint8Array, length: number, out: Instruction): boolean {
  for (let n = 0; n + 1 < string.length; n++) {
    const byte = string[n]!;
    const next = string[n + 1]!;
    if (byte === 0x0f && (next === 0x05 || next === 0x34 || next === 0x01 || next === 0xa2)) return false;
    if (byte === 0xcd || byte === 0xcb || byte === 0xca || byte === 0xcf || byte === 0xff) return false;
    if (length < 0 && (byte === 0xc4 || byte === 0xc5 || byte === 0x62 || byte === 0xd5)) return false;
  }
  if (length <= 0) return true;
  if (/segment|far/.test(out.row.semantics)) return false;
  // Vendors differ: AMD's processors refuse the register forms.
  if (out.row.encoding.startsWith('0F 0D') && out.modrm >= 0xc0) return false;
  return (out.row.attributes & ATTR_BRANCH) === 0 || (out.row.attributes & ATTR_UNDEFINED) !== 0;
}
