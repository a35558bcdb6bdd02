/**
 * The host CPU as an oracle: builds `native_runner.c` with the system's compiler and runs batches of
 * snippets in it. Record layouts are those of the C file.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const CODE_BASE = 0x1000_0000;
export const CODE_SIZE = 8192;
export const WINDOW_LOW = 0x2000_0000;
export const WINDOW_HIGH = 0x2aaa_2000_0000;
/** Two writable pages, then a read-only one; unmapped on both sides. */
export const WINDOW_SIZE = 12288;
export const FS_BASE = WINDOW_LOW + 0x400;
export const GS_BASE = WINDOW_LOW + 0x1400;

/** Vectors above the CPU's: the snippet did not end. */
export const VECTOR_HANG = 255;

const HEADER_SIZE = 64 + WINDOW_SIZE;
const SNIPPET_SIZE = 800;
const RESULT_SIZE = 680;
const FX_OFFSET = 288;

/** Registers of a snippet, before or after. */
export interface CpuImage {
  readonly gpr: BigUint64Array;
  rip: bigint;
  rflags: number;
  /** FXSAVE image: x87, MXCSR, XMM. */
  readonly fx: Uint8Array;
}

export interface Snippet {
  /** At most 128 bytes. */
  code: Uint8Array;
  state: CpuImage;
}

/** How a snippet ended: the vector (3 is the int3 behind it), and the state then. */
export interface Outcome {
  vector: number;
  /** Error code of a page fault: bit 1 a write, bit 4 a fetch. */
  error_code: number;
  /** Faulting address of a page fault. */
  address: bigint;
  state: CpuImage;
  /** Changed 64-bit words of the window: offset and new value. */
  changes: Map<number, bigint>;
  /** Instructions retired, which a machine of ours counts. */
  retired?: number;
}

export function new_image(): CpuImage {
  return { gpr: new BigUint64Array(16), rip: 0n, rflags: 0x202, fx: new Uint8Array(512) };
}

export function copy_image(from: CpuImage): CpuImage {
  return { gpr: from.gpr.slice(), rip: from.rip, rflags: from.rflags, fx: from.fx.slice() };
}

/** Why the oracle cannot run here, or '' when it can. */
export function unavailable(): string {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the host is not x86-64 Linux';
  if (spawnSync('cc', ['--version']).status !== 0) return 'there is no C compiler (cc)';
  return '';
}

let runner_path = '';

/** Builds the runner once into a cache directory keyed by its source. */
function runner(source_path: string): string {
  if (runner_path !== '') return runner_path;
  const source = readFileSync(source_path);
  const key = createHash('sha256').update(source).digest('hex').slice(0, 16);
  const directory = join(tmpdir(), `tvisor-oracle-${process.getuid?.() ?? 0}`);
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `native_runner-${key}`);
  if (!existsSync(path)) {
    const fresh = `${path}.${process.pid}`;
    execFileSync('cc', ['-O2', '-fno-stack-protector', '-Wl,-z,now', '-o', fresh, source_path]);
    renameSync(fresh, path);
  }
  runner_path = path;
  return path;
}

function source_of_runner(): string {
  // The compiled tests live in dist/; the C file stays in the source tree.
  for (const up of ['.', '../../..', '../..']) {
    const path = new URL(`${up}/test/oracle/native_runner.c`, import.meta.url).pathname;
    if (existsSync(path)) return path;
  }
  return new URL('native_runner.c', import.meta.url).pathname;
}

/** Runs snippets on the host CPU. `window` is the initial memory of each. Throws when the runner fails. */
export function run_native(snippets: readonly Snippet[], window: Uint8Array): Outcome[] {
  const directory = mkdtempSync(join(tmpdir(), 'tvisor-oracle-'));
  try {
    const input = join(directory, 'input');
    const output = join(directory, 'output');
    const outcomes: Outcome[] = [];
    while (outcomes.length < snippets.length) {
      const rest = snippets.slice(outcomes.length);
      writeFileSync(input, encode(rest, window));
      writeFileSync(output, new Uint8Array(rest.length * (RESULT_SIZE + 160) + 65536));
      const done = spawnSync(runner(source_of_runner()), [input, output]);
      if (done.status !== 0) throw new Error(`native runner: status ${done.status} ${done.signal} ${done.stderr}`);
      const got = decode(readFileSync(output));
      if (got.length === 0) throw new Error('native runner: no result');
      outcomes.push(...got);
    }
    return outcomes;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function encode(snippets: readonly Snippet[], window: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + snippets.length * SNIPPET_SIZE);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(snippets.length), true);
  bytes.set(window, 64);
  let at = HEADER_SIZE;
  for (const { code, state } of snippets) {
    bytes.set(code, at);
    for (let i = 0; i < 16; i++) view.setBigUint64(at + 128 + i * 8, state.gpr[i] as bigint, true);
    view.setBigUint64(at + 256, state.rip, true);
    view.setBigUint64(at + 264, BigInt(state.rflags), true);
    view.setUint32(at + 272, code.length, true);
    bytes.set(state.fx, at + FX_OFFSET);
    at += SNIPPET_SIZE;
  }
  return bytes;
}

function decode(bytes: Uint8Array): Outcome[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = Number(view.getBigUint64(0, true));
  const outcomes: Outcome[] = [];
  let at = 64;
  for (let n = 0; n < count; n++) {
    const state = new_image();
    for (let i = 0; i < 16; i++) state.gpr[i] = view.getBigUint64(at + 16 + i * 8, true);
    state.rip = view.getBigUint64(at + 144, true);
    state.rflags = Number(view.getBigUint64(at + 152, true));
    state.fx.set(bytes.subarray(at + 160, at + 672));
    const changes = new Map<number, bigint>();
    const changed = view.getUint32(at + 672, true);
    const outcome: Outcome = {
      vector: view.getUint32(at, true),
      error_code: view.getUint32(at + 4, true),
      address: view.getBigUint64(at + 8, true),
      state,
      changes,
    };
    at += RESULT_SIZE;
    for (let i = 0; i < changed; i++, at += 16) changes.set(view.getUint32(at, true), view.getBigUint64(at + 8, true));
    outcomes.push(outcome);
  }
  return outcomes;
}
