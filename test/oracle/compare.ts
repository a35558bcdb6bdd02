/**
 * Compares what two CPUs made of a snippet. Left out: flags that are undefined, what processors differ in
 * (last instruction and data pointers of x87), and the last place of transcendental functions.
 */
import { ALL_FLAGS, DF } from '../../engine/x86/instruction.ts';
import type { Generated } from './generate.ts';
import { type Outcome, VECTOR_HANG } from './native.ts';

const REGISTERS = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const TRANSCENDENTAL = /^(F2XM1|FYL2X|FYL2XP1|FSIN|FCOS|FSINCOS|FPTAN|FPATAN)$/;
const APPROXIMATE = /^(RCP|RSQRT)[PS]S$/;
const TF = 0x100;
const AC = 0x40000;
const C1 = 0x200;
const UE = 0x10;
const VECTOR_PF = 14;
/** Manual, volume 1, 8.5.5: 3 * 2^13. */
const UNDERFLOW_BIAS = 0x6000;

/** Why the native outcome says nothing of the instructions, or ''. */
export function unusable(outcome: Outcome): string {
  if (outcome.vector === VECTOR_HANG) return 'endless';
  if ((outcome.state.rflags & (TF | AC)) !== 0 || outcome.vector === 1 || outcome.vector === 17) return 'TF or AC';
  return '';
}

function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

function is_canonical(address: bigint): boolean {
  const top = address >> 47n;
  return top === 0n || top === 0x1ffffn;
}

/** Whether an access at the address is, or runs into what is, not canonical. The last user page is never mapped. */
function reaches_hole(address: bigint): boolean {
  return !is_canonical(address) || !is_canonical(address + 511n);
}

/** General protection by a non-canonical address is #GP or #SS on the CPU; here it is a fault of that address. */
function same_end(snippet: Generated, expected: Outcome, actual: Outcome): boolean {
  if (expected.vector === actual.vector) {
    if (expected.vector !== VECTOR_PF) return true;
    // Which byte of a masked store is blamed differs between processors.
    if (snippet.rows.some((row) => row.mnemonic.startsWith('MASKMOV'))) return true;
    // The host itself blames now the first, now the last byte of an FXSAVE area.
    const distance = expected.address - actual.address;
    if (snippet.rows.some((row) => row.mnemonic.startsWith('FX')) && distance > -512n && distance < 512n) return true;
    return expected.address === actual.address && (expected.error_code & 0x12) === (actual.error_code & 0x12);
  }
  if (expected.vector === 12 && actual.vector === 13) return true;
  return (
    (expected.vector === 13 || expected.vector === 12) && actual.vector === VECTOR_PF && reaches_hole(actual.address)
  );
}

function end_of(outcome: Outcome): string {
  if (outcome.vector === 3) return 'its end';
  const address =
    outcome.vector === VECTOR_PF ? ` at ${hex(outcome.address)} (error code ${hex(outcome.error_code)})` : '';
  return `vector ${outcome.vector}${address}`;
}

/** Flags that are undefined where the snippet ended: known behind its last instruction, else any that ever were. */
function undefined_at_end(snippet: Generated, outcome: Outcome): number {
  const last = snippet.undefined_flags.at(-1) ?? 0;
  const end = snippet.state.rip + BigInt(snippet.code.length + 1);
  if (outcome.vector === 3 && outcome.state.rip === end) return last;
  return snippet.undefined_flags.reduce((all, flags) => all | flags, 0);
}

/** All differences, one a line; empty when the outcomes agree. */
export function differences(snippet: Generated, expected: Outcome, actual: Outcome): string[] {
  const out: string[] = [];
  const line = (name: string, e: bigint | number | string, a: bigint | number | string): void => {
    out.push(`${name}: expected ${typeof e === 'string' ? e : hex(e)}, got ${typeof a === 'string' ? a : hex(a)}`);
  };
  if (!same_end(snippet, expected, actual)) line('end', end_of(expected), end_of(actual));
  if (expected.state.rip !== actual.state.rip) line('rip', expected.state.rip, actual.state.rip);
  for (let i = 0; i < 16; i++) {
    const e = expected.state.gpr[i] as bigint;
    const a = actual.state.gpr[i] as bigint;
    if (e !== a) line(REGISTERS[i] as string, e, a);
  }
  const mask = (ALL_FLAGS | DF) & ~undefined_at_end(snippet, expected);
  const e = expected.state.rflags & mask;
  const a = actual.state.rflags & mask;
  if (e !== a) line('flags', e, a);
  compare_fx(snippet, expected.state.fx, actual.state.fx, line);
  compare_memory(expected, actual, line);
  return out;
}

type Line = (name: string, e: bigint | number | string, a: bigint | number | string) => void;

function compare_fx(snippet: Generated, e: Uint8Array, a: Uint8Array, line: Line): void {
  const ev = new DataView(e.buffer, e.byteOffset, 512);
  const av = new DataView(a.buffer, a.byteOffset, 512);
  const transcendental = snippet.rows.some((row) => TRANSCENDENTAL.test(row.mnemonic));
  const approximate = snippet.rows.some((row) => APPROXIMATE.test(row.mnemonic));
  // Whether a tiny result underflows is the last place's business too.
  const fsw_mask = transcendental ? 0xffff & ~(C1 | UE) : 0xffff;
  if (ev.getUint16(0, true) !== av.getUint16(0, true)) line('fcw', ev.getUint16(0, true), av.getUint16(0, true));
  const e_fsw = ev.getUint16(2, true) & fsw_mask;
  const a_fsw = av.getUint16(2, true) & fsw_mask;
  if (e_fsw !== a_fsw) line('fsw', e_fsw, a_fsw);
  if (e[4] !== a[4]) line('ftag', e[4] as number, a[4] as number);
  if (ev.getUint32(24, true) !== av.getUint32(24, true)) line('mxcsr', ev.getUint32(24, true), av.getUint32(24, true));
  for (let i = 0; i < 8; i++) {
    const at = 32 + i * 16;
    if (same_bytes(e, a, at, at + 10)) continue;
    const em = ev.getBigUint64(at, true);
    const am = av.getBigUint64(at, true);
    const es = ev.getUint16(at + 8, true);
    const as = av.getUint16(at + 8, true);
    if (transcendental && close(em, es, am, as)) continue;
    line(`st${i}`, `${es.toString(16)}:${em.toString(16)}`, `${as.toString(16)}:${am.toString(16)}`);
  }
  for (let i = 0; i < 16; i++) {
    const at = 160 + i * 16;
    if (same_bytes(e, a, at, at + 16)) continue;
    if (approximate && close_lanes(ev, av, at)) continue;
    line(`xmm${i}`, lanes(ev, at), lanes(av, at));
  }
}

function same_bytes(e: Uint8Array, a: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (e[i] !== a[i]) return false;
  return true;
}

function lanes(view: DataView, at: number): string {
  return [12, 8, 4, 0]
    .map((n) =>
      view
        .getUint32(at + n, true)
        .toString(16)
        .padStart(8, '0'),
    )
    .join('_');
}

/** Within one unit in the last place. An underflow that is not masked leaves the exponent raised by UNDERFLOW_BIAS. */
function close(em: bigint, es: number, am: bigint, as: number): boolean {
  const raised = (es & 0x7fff) - (as & 0x7fff);
  if (raised >= UNDERFLOW_BIAS - 1) return within_a_unit(em, es - UNDERFLOW_BIAS, am, as);
  if (raised <= 1 - UNDERFLOW_BIAS) return within_a_unit(em, es, am, as - UNDERFLOW_BIAS);
  return within_a_unit(em, es, am, as);
}

function within_a_unit(em: bigint, es: number, am: bigint, as: number): boolean {
  const e = (BigInt(es & 0x7fff) << 63n) + (em & ((1n << 63n) - 1n));
  const a = (BigInt(as & 0x7fff) << 63n) + (am & ((1n << 63n) - 1n));
  const difference = e > a ? e - a : a - e;
  return es >> 15 === as >> 15 && difference <= 1n;
}

/** Singles within the error that RCPPS and RSQRTPS may have, twice. */
function close_lanes(ev: DataView, av: DataView, at: number): boolean {
  for (let n = 0; n < 16; n += 4) {
    if (ev.getUint32(at + n, true) === av.getUint32(at + n, true)) continue;
    const e = ev.getFloat32(at + n, true);
    const a = av.getFloat32(at + n, true);
    if (Math.abs(e) <= 2 ** -126 && Math.abs(a) <= 2 ** -126) continue;
    if (!(Math.abs(e - a) <= Math.abs(e) * 3 * 2 ** -12)) return false;
  }
  return true;
}

function compare_memory(expected: Outcome, actual: Outcome, line: Line): void {
  const offsets = new Set([...expected.changes.keys(), ...actual.changes.keys()]);
  for (const offset of [...offsets].sort((x, y) => x - y)) {
    const e = expected.changes.get(offset);
    const a = actual.changes.get(offset);
    if (e !== a) line(`window+${hex(offset)}`, e ?? 'unchanged', a ?? 'unchanged');
  }
}

/** What the snippet's CPU state was changed to, for a report. */
export function describe_state(name: string, fx: Uint8Array): string {
  const view = new DataView(fx.buffer, fx.byteOffset, 512);
  const fields = [`fcw ${hex(view.getUint16(0, true))}`, `fsw ${hex(view.getUint16(2, true))}`];
  fields.push(`ftag ${hex(fx[4] as number)}`, `mxcsr ${hex(view.getUint32(24, true))}`);
  return `${name}: ${fields.join(', ')}`;
}
