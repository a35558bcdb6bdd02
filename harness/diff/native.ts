/**
 * Runs compiled programs on the host's kernel: each in a new and empty directory, without rights (as nobody where the
 * harness is root), in a session of its own, killed with all its children when its time is up.
 */
import { type SpawnSyncOptions, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HarnessError, message_of } from '../errors.ts';
import {
  CALL_ENDED,
  CALL_RESULT,
  CALL_STARTED,
  type CompiledProgram,
  LOG_PID,
  LOG_READY,
  LOG_STOPPED,
} from './compile.ts';

/** The user that programs run as, natively and in the machine. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

const NOBODY: User = { uid: 65534, gid: 65534 };
const TMPFS_MAGIC = 0x0102_1994;
const SHARED_MEMORY = '/dev/shm';

export interface NativeCall {
  readonly started: boolean;
  readonly finished: boolean;
  /** The 64 bits of rax, signed. */
  readonly result: bigint;
  /** Of each captured range, what could be read. */
  readonly memory: readonly Uint8Array[];
}

export interface NativeOutcome {
  /** done: came to its end; stopped: memory of a call could not be filled; blocked: its time was up; died: a signal. */
  readonly status: 'done' | 'stopped' | 'blocked' | 'died';
  /** Calls of the program that count: those before the one that it stopped at. */
  readonly valid: number;
  readonly pid: number;
  readonly calls: readonly NativeCall[];
}

/** Throws a HarnessError on a host whose kernel cannot run the programs. */
export function check_host(platform: string = process.platform, arch: string = process.arch): void {
  if (platform === 'linux' && arch === 'x64') return;
  throw new HarnessError(
    `diff compares with the kernel of a Linux host on x86-64, and this is ${platform} on ${arch}`,
    'run it on such a host, or in a virtual machine',
  );
}

export class NativeRunner {
  readonly user: User;
  /** Whether scratch directories are on a tmpfs, as the machine's are. */
  readonly on_tmpfs: boolean;
  private readonly image_directory: string;
  private readonly scratch_directory: string;
  private count = 0;

  constructor() {
    check_host();
    const uid = process.getuid?.() ?? 0;
    this.user = uid === 0 ? NOBODY : { uid, gid: process.getgid?.() ?? 0 };
    this.image_directory = make_directory(tmpdir());
    this.on_tmpfs = is_tmpfs(SHARED_MEMORY);
    this.scratch_directory = this.on_tmpfs ? make_directory(SHARED_MEMORY) : this.image_directory;
  }

  /** Whether the user is one that only runs programs of this kind. */
  get own_user(): boolean {
    return this.user === NOBODY;
  }

  /** Runs a program, for `limit_ms` at most. Throws a HarnessError when the host cannot start it. */
  run(program: CompiledProgram, limit_ms: number): NativeOutcome {
    const number = ++this.count;
    const image = join(this.image_directory, `program${number}`);
    const log_path = join(this.image_directory, `log${number}`);
    const scratch = join(this.scratch_directory, `run${number}`);
    writeFileSync(image, program.image, { mode: 0o755 });
    mkdirSync(scratch);
    chmodSync(scratch, 0o777);
    if (this.own_user) chownSync(scratch, this.user.uid, this.user.gid);
    const log = openSync(log_path, 'w+');
    try {
      ftruncateSync(log, program.log_size);
      const ran = this.start(image, scratch, log, limit_ms);
      const bytes = new Uint8Array(program.log_size);
      readSync(log, bytes, 0, bytes.length, 0);
      return read_log(program, bytes, ran);
    } finally {
      closeSync(log);
      rmSync(image, { force: true });
      rmSync(log_path, { force: true });
      remove_tree(scratch);
    }
  }

  private start(image: string, cwd: string, log: number, limit_ms: number): SpawnSyncReturns<Buffer> {
    const options: SpawnSyncOptions & { detached: true } = {
      cwd,
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', log],
      timeout: limit_ms,
      killSignal: 'SIGKILL',
      // Known to spawnSync, if not to its documentation: a session and a process group of its own.
      detached: true,
      ...(this.own_user ? this.user : {}),
    };
    const ran = spawnSync(image, [], options) as SpawnSyncReturns<Buffer>;
    kill_group(ran.pid);
    const { error } = ran;
    if (error !== undefined && (error as NodeJS.ErrnoException).code !== 'ETIMEDOUT')
      throw new HarnessError(`a program cannot be started: ${message_of(error)}`, 'see that /tmp allows executables');
    return ran;
  }

  /** Removes its directories. */
  close(): void {
    remove_tree(this.image_directory);
    if (this.on_tmpfs) remove_tree(this.scratch_directory);
  }
}

/** Children that are left: as long as there are any, the group's number is theirs. */
function kill_group(pid: number): void {
  if (pid <= 1) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // ESRCH: there are none.
  }
}

function make_directory(parent: string): string {
  const path = mkdtempSync(join(parent, 'tvisor-diff-'));
  chmodSync(path, 0o755);
  return path;
}

function is_tmpfs(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return statfsSync(path).type === TMPFS_MAGIC;
  } catch {
    return false;
  }
}

/** Also what the program has taken the rights of away. */
function remove_tree(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    open_directories(path);
    rmSync(path, { recursive: true, force: true });
  }
}

function open_directories(path: string): void {
  chmodSync(path, 0o700);
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) open_directories(join(path, entry.name));
}

function read_log(program: CompiledProgram, bytes: Uint8Array, ran: SpawnSyncReturns<Buffer>): NativeOutcome {
  const view = new DataView(bytes.buffer);
  const word = (at: number): bigint => view.getBigInt64(at, true);
  const calls = program.calls.map(({ at, memory }, i): NativeCall => {
    const finished = word(at + CALL_ENDED) === 1n;
    const end = program.calls[i + 1]?.at ?? program.log_size;
    const captured = memory.map((place, k) => {
      const room = (memory[k + 1] ?? end) - place - 8;
      return bytes.slice(place + 8, place + 8 + Math.min(room, Math.max(0, Number(word(place)))));
    });
    return { started: word(at + CALL_STARTED) === 1n, finished, result: word(at + CALL_RESULT), memory: captured };
  });
  const pid = Number(word(LOG_PID));
  const stopped = Number(word(LOG_STOPPED));
  const blocked = (ran.error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT';
  if (word(LOG_READY) !== 1n && !blocked)
    throw new HarnessError(
      `a program did not begin (status ${ran.status}, signal ${ran.signal})`,
      'the host must allow mmap at 0x20000000 and process_vm_readv',
    );
  if (stopped > 0 && !blocked && ran.signal === null) return { status: 'stopped', valid: stopped - 1, pid, calls };
  const status = blocked ? 'blocked' : ran.signal === null ? 'done' : 'died';
  return { status, valid: calls.length, pid, calls };
}
