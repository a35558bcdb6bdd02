/**
 * Machine: the library's face. Owns one machine's memory, its vCPU threads (or none: an inline vCPU in the
 * calling thread), and the streams of the programs it runs.
 *
 * A thread is bound to one machine at a time (heap/memory.ts); everything here that touches a machine's
 * memory calls `enter` first, so that several machines live in one process without seeing each other.
 */
import { ELIBBAD, ENOENT, ENOEXEC, ENOTDIR } from '../abi/errno.ts';
import { forget_transients } from '../base/transients.ts';
import type { Ptr } from '../base/types.ts';
import { HOST_INPUT, HOST_OUTPUT } from '../fs/hostio/hostio.layout.ts';
import { bell_count, bell_word, host_stream_create, host_stream_made, ring_bell } from '../fs/hostio/stream.ts';
import {
  type HostTerminal,
  host_terminal_create,
  host_terminal_open,
  host_terminal_resize,
  host_terminal_signal,
} from '../fs/hostio/terminal.ts';
import { unbind_memory } from '../heap/memory.ts';
import { close_all_handles } from '../host/handles.ts';
import { interpreter_module } from '../host/module.ts';
import {
  BufferSink,
  buffer_source,
  caller_sink,
  type Sink,
  type Source,
  stream_sink,
  stream_source,
} from '../host/stdio.ts';
import { available_cores, caller_ids } from '../host/system.ts';
import { terminal_sink, terminal_source } from '../host/terminal.ts';
import { tune_for_long_programs } from '../host/tuning.ts';
import { VcpuPool, vcpu_module } from '../host/workers.ts';
import { reap_root } from '../kernel/exit.ts';
import { MACHINE_ENDED, MACHINE_PANICKED } from '../kernel/kernel.layout.ts';
import { machine_event_count, machine_event_word } from '../kernel/kernel.ts';
import { end_machine, machine_ended } from '../kernel/machine_end.ts';
import { interrupt_all, queued_tasks, take_vcpu_request } from '../kernel/scheduler.ts';
import { LOAD_KILLED } from '../loader/load.ts';
import { INTERRUPT_STOP } from '../machine/vcpu.layout.ts';
import type { CodePlace } from '../sentry/code_map.ts';
import { type CodeName, name_places } from '../sentry/code_names.ts';
import { hand_over, hand_over_asked } from '../sentry/hand_over.ts';
import { boot_machine, enter_machine, mount_tree } from '../sentry/machine.ts';
import type { ObserverRequest, VcpuObservers } from '../sentry/observers.ts';
import { read_panic } from '../sentry/panic.ts';
import type { RegionsAnswer, RegionsRequest } from '../sentry/region_log.ts';
import { kill_root, type SpawnFailure, spawn_root } from '../sentry/spawn.ts';
import { type MachineStatistics, machine_statistics } from '../sentry/statistics.ts';
import type { VcpuTask } from '../sentry/vcpu_job.ts';
import { MachineImage } from '../snapshot/image.ts';
import { errno_name } from '../trace/names.ts';
import { file_get, file_put } from '../vfs/file.ts';
import { type MachineConfig, type MachineOptions, machine_config } from './config.ts';
import { ControlPlane } from './control.ts';
import { slots_of } from './coverage.ts';
import { TvisorError } from './errors.ts';
import { InlineVcpu } from './inline.ts';
import { type CpuProfile, cpu_profile } from './profile.ts';
import { Sampler } from './sampler.ts';
import { signal_name, signal_number } from './signals.ts';
import { InputPump, OutputPump, type Pump } from './streams.ts';
import { TerminalPump } from './terminal.ts';
import { WordWatch } from './watch.ts';

/** A text, bytes, a stream, or the caller's own standard input; nothing is an empty input. */
export type Input = string | Uint8Array | NodeJS.ReadableStream | 'inherit' | null;
/** Kept for the result, passed to the caller's own stream, or written to a stream. */
export type Output = 'pipe' | 'inherit' | NodeJS.WritableStream;

/** A terminal for a program: the controlling one of its session. */
export interface Terminal {
  /** Size of its window, in characters. */
  readonly rows: number;
  readonly columns: number;
  /**
   * What is typed, from when a program first reads from the terminal: a text, bytes, a stream, whose end hangs the
   * terminal up, or 'inherit', the caller's own terminal. Default: nothing.
   */
  readonly input?: Input;
  /** Where it is shown; default the result's `stdout`. */
  readonly output?: Output;
}

export interface RunOptions {
  /** The program's terminal. What of stdin, stdout and stderr is not given then is the terminal. */
  readonly terminal?: Terminal;
  /** Standard input: the string 'inherit' is the caller's, any other string is the input itself. */
  readonly stdin?: Input;
  readonly stdout?: Output;
  readonly stderr?: Output;
  /** The whole environment; default PATH and HOME alone. */
  readonly env?: Readonly<Record<string, string>>;
  /** Guest directory; default '/'. */
  readonly cwd?: string;
  /** Milliseconds after which the program and its children are killed. */
  readonly timeout?: number;
}

export interface RunResult {
  /** Exit status, or null when a signal ended the program. */
  readonly exitCode: number | null;
  /** 'SIGKILL' and so on, or null. */
  readonly signal: string | null;
  /** What was written, as UTF-8; '' where the output went elsewhere. */
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Uint8Array;
  readonly stderrBytes: Uint8Array;
  readonly timedOut: boolean;
}

const DEFAULT_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/' };
const DEFAULT_UMASK = 0o022;
/**
 * Time that the calling thread runs programs itself before vCPU threads are started, ns: loading the pool and
 * starting its first thread cost about as much, and most programs end before.
 */
const HAND_OVER_NS = 120e6;
/** Signals that keys of a terminal send. */
const FROM_KEYBOARD = new Set(['SIGINT', 'SIGQUIT', 'SIGTSTP']);

/** A program in progress. */
interface Running {
  readonly pid: number;
  readonly pumps: readonly Pump[];
  readonly outputs: readonly Pump[];
  readonly terminal: HostTerminal | null;
  /** Wait status, -1 while it runs. */
  status: number;
  readonly done: (status: number) => void;
  readonly failed: (error: Error) => void;
}

function source_of(input: Input): Source {
  if (input === 'inherit') return stream_source();
  if (input === null) return buffer_source(new Uint8Array(0));
  if (typeof input === 'string') return buffer_source(new TextEncoder().encode(input));
  return input instanceof Uint8Array ? buffer_source(input) : stream_source(input);
}

function sink_of(output: Output | undefined, fd: 1 | 2): Sink | BufferSink {
  if (output === undefined || output === 'pipe') return new BufferSink();
  return output === 'inherit' ? caller_sink(fd) : stream_sink(output);
}

/** What is typed at a terminal: a text is typed and no more, a stream's end is the terminal's. */
function keyboard_of(input: Input): Source {
  if (input === 'inherit') return terminal_source();
  const source = source_of(input);
  if (input !== null && typeof input !== 'string' && !(input instanceof Uint8Array)) return source;
  return { ...source, start: (data) => source.start(data, () => {}) };
}

/** Where a program's output goes, and what of it is kept. */
interface Sinks {
  readonly stdout: Sink | BufferSink;
  readonly stderr: Sink | BufferSink;
  /** What the terminal shows; standard output where that is not given. */
  readonly screen: Sink | BufferSink;
}

function sinks_of(options: RunOptions): Sinks {
  const stdout = sink_of(options.stdout, 1);
  const { terminal } = options;
  let screen = stdout;
  if (terminal?.output === 'inherit') screen = terminal_sink();
  else if (terminal !== undefined && (terminal.output !== undefined || options.stdout !== undefined))
    screen = sink_of(terminal.output, 1);
  return { stdout, stderr: sink_of(options.stderr, 2), screen };
}

function out_of_memory(): TvisorError {
  return new TvisorError('the machine is out of memory', 'ask for more with memory');
}

function make_terminal(options: Terminal, ids: { uid: number; gid: number }): HostTerminal {
  const terminal = host_terminal_create(options.rows, options.columns, ids.uid, ids.gid);
  if (terminal === null) throw out_of_memory();
  return terminal;
}

/** Descriptors 0, 1 and 2: a stream each, or the terminal (null in its place). */
function open_files(
  options: RunOptions,
  terminal: HostTerminal | null,
): { files: Ptr<'File'>[]; streams: [Stream, Stream, Stream] } {
  const files: Ptr<'File'>[] = [];
  const shared = terminal === null ? (0 as Ptr<'File'>) : host_terminal_open(terminal);
  if (terminal !== null && shared === 0) throw out_of_memory();
  const open = (given: unknown, direction: number): Stream => {
    if (terminal !== null && given === undefined) {
      files.push(file_get(shared));
      return null;
    }
    const stream = host_stream_create(direction);
    if (stream === 0) throw out_of_memory();
    files.push(host_stream_made.file);
    return stream;
  };
  const streams: [Stream, Stream, Stream] = [
    open(options.stdin, HOST_INPUT),
    open(options.stdout, HOST_OUTPUT),
    open(options.stderr, HOST_OUTPUT),
  ];
  if (shared !== 0) file_put(shared);
  return { files, streams };
}

type Stream = Ptr<'HostStream'> | null;

/** The state of a machine at one moment. */
export class MachineSnapshot {
  /** @internal */
  readonly image: MachineImage;

  /** @internal */
  constructor(image: MachineImage) {
    this.image = image;
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return this.image.bytes;
  }
}

/** A machine: a kernel, its memory, its file tree and its processors. */
export class Machine {
  private readonly config: MachineConfig;
  private readonly memory: WebAssembly.Memory;
  private readonly module: WebAssembly.Module;
  /** Runs the first vCPU, for good or until a thread has taken it over. */
  private inline: InlineVcpu | null = null;
  /** Who looked at the calling thread while it ran the first vCPU. */
  private first: VcpuObservers | null = null;
  private observed: ObserverRequest = { inspect: false, profile: null };
  private sampler: Sampler | null = null;
  private pool: Promise<VcpuPool> | null = null;
  private vcpu_wanted = false;
  private readonly running = new Map<number, Running>();
  private started = 0;
  private closed = false;
  private broken: Error | null = null;
  private serving = false;
  private dirty = false;
  private readonly bell = new WordWatch(() => this.serve());
  private readonly events = new WordWatch(() => this.serve());
  private readonly control = new ControlPlane(
    () => this.enter(),
    () => this.inline,
  );

  /** Makes a machine. Rejects with a TvisorError that says what to change when it cannot be had. */
  static async create(options: MachineOptions = {}): Promise<Machine> {
    const config = machine_config(options, available_cores());
    const coverage_slots = slots_of(config.instrumentation_filter);
    const module = await interpreter_module();
    let memory: WebAssembly.Memory;
    try {
      memory = boot_machine({
        vcpus: config.vcpus,
        heap_bytes: config.heap,
        ram_bytes: config.memory,
        clock: config.clock,
        seed: config.seed,
        hostname: config.hostname,
        sanitize: config.sanitize,
        coverage_slots,
      });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new TvisorError(`cannot reserve the machine's memory (${error.message})`, 'ask for less with --memory');
    }
    const machine = new Machine(config, memory, module);
    try {
      const volumes = config.volumes.map((volume) => ({ ...volume, read_only: volume.read_only ?? false }));
      const failure = mount_tree(config.root, volumes);
      if (failure !== null)
        throw new TvisorError(
          `cannot mount ${failure.path} (${errno_name(-failure.error)})`,
          'check that the directory exists and may be read',
        );
      await machine.start_sampler();
      machine.inline = new InlineVcpu(memory, module, config, machine.observed, () => machine.turned());
      machine.first = machine.inline.observers;
    } catch (error) {
      await machine.close();
      throw error;
    }
    return machine;
  }

  private constructor(config: MachineConfig, memory: WebAssembly.Memory, module: WebAssembly.Module) {
    this.config = config;
    this.memory = memory;
    this.module = module;
  }

  /**
   * Runs a program to its end. `argv[0]` is looked for in the environment's PATH unless it has a slash.
   * Rejects with a TvisorError whose `status` is 127 (not found), 126 (not executable) or 125.
   */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    while (this.control.held && !this.closed) await new Promise<void>((resolve) => this.control.when_running(resolve));
    if (this.closed) throw new TvisorError('the machine is closed', 'create another one');
    if (this.broken !== null) throw this.broken;
    if (argv.length === 0) throw new TvisorError('no command given', 'pass at least a program name');
    const sinks = sinks_of(options);
    const { stdout, stderr, screen } = sinks;
    let timed_out = false;
    let timer: NodeJS.Timeout | undefined;
    // Waiting for a word of shared memory does not keep an event loop alive; a program in progress shall.
    const alive = setInterval(() => {}, 1 << 30);
    const status = await new Promise<number>((resolve, reject) => {
      const pid = this.start(argv, options, sinks, resolve, reject);
      if (options.timeout !== undefined)
        timer = setTimeout(() => {
          timed_out = true;
          this.send([pid], 'SIGKILL', true);
        }, options.timeout);
      this.serve();
    })
      .then(async (ended) => {
        await Promise.all([stdout.finish(), stderr.finish(), screen.finish()]);
        return ended;
      })
      .finally(() => {
        clearTimeout(timer);
        clearInterval(alive);
        for (const sink of new Set([stdout, stderr, screen])) sink.release();
      });
    const bytes = (sink: Sink | BufferSink): Uint8Array =>
      sink instanceof BufferSink ? sink.bytes() : new Uint8Array(0);
    const decoder = new TextDecoder();
    const signal = status & 0x7f;
    return {
      exitCode: signal === 0 ? (status >> 8) & 0xff : null,
      signal: signal === 0 ? null : signal_name(signal),
      stdout: decoder.decode(bytes(stdout)),
      stderr: decoder.decode(bytes(stderr)),
      stdoutBytes: bytes(stdout),
      stderrBytes: bytes(stderr),
      timedOut: timed_out,
    };
  }

  /** Sends a signal to the process groups of the programs in progress: those in front where there is a terminal. */
  kill(signal: string): void {
    this.send([...this.running.keys()], signal, false);
  }

  private send(pids: readonly number[], signal: string, everything: boolean): void {
    this.control.when_running(() => this.send_now(pids, signal, everything));
  }

  private send_now(pids: readonly number[], signal: string, everything: boolean): void {
    if (this.closed) return;
    try {
      this.enter();
      for (const pid of pids) {
        const terminal = everything ? null : (this.running.get(pid)?.terminal ?? null);
        if (terminal !== null && FROM_KEYBOARD.has(signal)) host_terminal_signal(terminal, signal_number(signal));
        else kill_root(pid, signal_number(signal), everything);
      }
    } catch (error) {
      this.panicked(error);
    }
    this.inline?.wake();
  }

  /** Changes the window of every terminal; programs in front get SIGWINCH. */
  resize(rows: number, columns: number): void {
    this.control.when_running(() => {
      if (this.closed) return;
      this.enter();
      for (const { terminal } of this.running.values())
        if (terminal !== null) host_terminal_resize(terminal, rows, columns);
      this.inline?.wake();
    });
  }

  /** What the machine has done and holds. vCPUs in the middle of guest code stop for a moment to tell theirs. */
  async statistics(): Promise<MachineStatistics> {
    const vcpus = await this.control.statistics(this.config.vcpus);
    this.enter();
    return machine_statistics(vcpus);
  }

  /**
   * The hottest regions of translated code, of a machine made with `inspect`: guest instructions, IR and WebAssembly as
   * text, and what they have done. One answer for each thread that has translated.
   */
  async regions(request: RegionsRequest): Promise<RegionsAnswer[]> {
    const answers = await this.control.regions(request);
    if (this.inline === null && this.first?.log) answers.unshift(this.first.log.answer(request));
    this.enter();
    return answers;
  }

  /**
   * Where the time of a machine made with `profile` went, up to now, in the form of V8's .cpuprofile: JSON of it opens in
   * a browser's profiler and in speedscope. The time is that of the vCPUs, one after the other.
   */
  async profile(): Promise<CpuProfile> {
    const parts = await this.control.profile();
    if (this.inline === null && this.first?.profiler) parts.unshift(this.first.profiler.part());
    return cpu_profile(parts, (places) => this.name_code(places));
  }

  private async start_sampler(): Promise<void> {
    const { vcpus, profile, inspect } = this.config;
    if (profile) this.sampler = await Sampler.start(this.memory, vcpus);
    this.observed = { inspect, profile: this.sampler?.area ?? null };
    this.enter();
  }

  /** Names of places of code, as `regions` gives them, from the symbol tables of the guest's files. */
  name_code(places: readonly CodePlace[]): CodeName[] {
    this.enter();
    return name_places(places, caller_ids());
  }

  /** Drops every cache of every vCPU: nothing changes but the time things take. For tests and measurements. */
  async drop_caches(): Promise<void> {
    await this.control.drop_caches();
  }

  /**
   * Stops the whole machine: resolves when every vCPU is between two instructions and off the machine. Until `resume`
   * nothing changes in it: programs that are started, signals and changed windows wait. Calls nest.
   */
  async quiesce(): Promise<void> {
    await this.control.quiesce();
  }

  /** Ends a `quiesce`; with the last one the machine goes on. */
  resume(): void {
    if (this.control.resume()) this.serve();
  }

  /**
   * Keeps the machine's whole state: processes, memory, files that are not the host's. Rejects with a TvisorError while
   * a program is in progress. What is on the host's disks is not part of it, nor is a real clock.
   */
  async snapshot(): Promise<MachineSnapshot> {
    return this.while_idle(() => {
      const image = MachineImage.save();
      if (typeof image === 'number')
        throw new TvisorError(`${image} files of the host are open`, 'unmount what uses them');
      return new MachineSnapshot(image);
    });
  }

  /** Brings back a state that this machine was in. Rejects as `snapshot` does, and for another machine's state. */
  async restore(snapshot: MachineSnapshot): Promise<void> {
    if (snapshot.image.memory !== this.memory)
      throw new TvisorError('the snapshot is of another machine', 'restore it on the machine it was taken of');
    await this.while_idle(async () => {
      const result = snapshot.image.restore();
      await this.control.drop_caches();
      if (result !== 0)
        throw new TvisorError(`a mounted directory of the host is gone (${errno_name(-result)})`, 'make it again');
    });
  }

  private async while_idle<T>(action: () => T | Promise<T>): Promise<T> {
    if (this.closed) throw new TvisorError('the machine is closed', 'create another one');
    if (this.broken !== null) throw this.broken;
    await this.control.quiesce();
    try {
      if (this.running.size > 0)
        throw new TvisorError('a program is in progress', 'wait for its end before taking or restoring a snapshot');
      this.enter();
      return await action();
    } finally {
      this.resume();
    }
  }

  /** Ends every program and releases everything the machine holds. Programs in progress are rejected. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.control.end(new TvisorError('the machine is closed', 'create another one'));
    this.enter();
    end_machine(MACHINE_ENDED);
    interrupt_all(INTERRUPT_STOP);
    this.reject_all(new TvisorError('the machine was closed while a program ran', ''));
    this.inline?.stop();
    // A thread that has not taken over yet shall find that there is nothing to do.
    hand_over(0);
    ring_bell();
    await (await this.pool)?.destroy();
    await this.sampler?.end();
    this.control.disconnect();
    this.enter();
    close_all_handles();
    unbind_memory();
  }

  private enter(): void {
    enter_machine(this.memory);
  }

  private start(
    argv: readonly string[],
    options: RunOptions,
    sinks: Sinks,
    done: (status: number) => void,
    failed: (error: Error) => void,
  ): number {
    this.enter();
    const ids = caller_ids();
    const terminal = options.terminal === undefined ? null : make_terminal(options.terminal, ids);
    const opened = open_files(options, terminal);
    const cwd = options.cwd ?? '/';
    const pid = spawn_root({
      argv,
      env: options.env ?? DEFAULT_ENV,
      cwd,
      umask: DEFAULT_UMASK,
      files: opened.files,
      terminal,
      ...ids,
    });
    const outputs: Pump[] = [];
    const [input, output, error] = opened.streams;
    if (output !== null) outputs.push(new OutputPump(output, sinks.stdout, this.serve));
    if (error !== null) outputs.push(new OutputPump(error, sinks.stderr, this.serve));
    const keyboard = typeof pid === 'number' ? (options.terminal?.input ?? null) : null;
    if (terminal !== null) outputs.push(new TerminalPump(terminal, keyboard_of(keyboard), sinks.screen, this.serve));
    const pumps = [...outputs];
    const source = typeof pid === 'number' ? source_of(options.stdin ?? null) : source_of(null);
    if (input !== null) pumps.push(new InputPump(input, source, this.serve));
    if (typeof pid !== 'number') {
      for (const pump of pumps) pump.close();
      throw spawn_error(argv[0] as string, cwd, pid);
    }
    this.running.set(pid, { pid, pumps, outputs, terminal, status: -1, done, failed });
    this.inline?.wake();
    return pid;
  }

  /**
   * Serves every stream and every end until nothing moves, then waits for the guest to change something.
   * Called whenever the guest or the host may have: by watches on the machine's words, sources and sinks.
   */
  private readonly serve = (): void => {
    this.dirty = true;
    if (this.serving) return;
    this.serving = true;
    try {
      this.serve_until_quiet();
    } catch (error) {
      this.panicked(error);
    } finally {
      this.serving = false;
    }
  };

  private serve_until_quiet(): void {
    while (this.dirty && !this.closed) {
      this.dirty = false;
      this.enter();
      const rung = bell_count();
      const seen = machine_event_count();
      if (!this.control.held) {
        this.serve_once();
        this.pass_on();
      }
      // What the host has just done may have woken a task.
      if (queued_tasks() > 0) this.inline?.wake();
      if (this.running.size > 0 && !this.closed) {
        this.bell.arm(bell_word(), rung);
        this.events.arm(machine_event_word(), seen);
      }
    }
  }

  /** The kernel broke: programs in progress end with its report; its locks may be held for ever. */
  private panicked(error: unknown): void {
    forget_transients();
    this.enter();
    const report = read_panic() || (error instanceof Error ? (error.stack ?? error.message) : String(error));
    const [what = ''] = report.split('\n');
    this.broken ??= new TvisorError(what, 'this is a bug in tvisor: report it with what --debug says', 125, report);
    this.reject_all(this.broken);
  }

  private serve_once(): void {
    if (machine_ended() === MACHINE_PANICKED) throw new Error('kernel panic');
    for (const program of [...this.running.values()]) {
      for (const pump of program.pumps) pump.serve();
      if (program.status < 0) program.status = reap_root(program.pid);
      if (program.status >= 0 && program.outputs.every((pump) => pump.serve(true))) {
        this.running.delete(program.pid);
        for (const pump of program.pumps) pump.close();
        program.done(program.status);
      }
    }
  }

  /** The machine is of no more use: every program in progress fails, and every later one. */
  private fail(error: Error): void {
    this.broken ??= error;
    this.control.end(error);
    this.reject_all(error);
  }

  /** Ends the host's side of every program in progress. */
  private reject_all(error: Error): void {
    for (const program of this.running.values()) {
      for (const pump of program.pumps) pump.abandon();
      program.failed(error);
    }
    this.running.clear();
  }

  /** After each turn of the inline vCPU. */
  private turned(): void {
    this.serve();
    if (this.inline === null || this.config.inline || this.started > 0) return;
    if (this.inline.busy_ns > HAND_OVER_NS) this.start_vcpu();
  }

  /** Gives the inline vCPU to the thread that asks for it, and starts another thread where one was asked for. */
  private pass_on(): void {
    if (take_vcpu_request()) this.vcpu_wanted = true;
    if (this.inline !== null) {
      if (this.config.inline || !hand_over_asked(0)) return;
      this.inline.stop();
      this.inline = null;
      hand_over(0);
    }
    if (this.vcpu_wanted) this.start_vcpu();
    this.vcpu_wanted = false;
  }

  private start_vcpu(): void {
    if (this.started >= this.config.vcpus) return;
    tune_for_long_programs();
    const index = this.started++;
    this.pool ??= VcpuPool.create(vcpu_module(), 'vcpu_job', this.config.vcpus);
    const { memory, module } = this;
    const { platform, strace } = this.config;
    const port = this.control.attach();
    const task: VcpuTask = { memory, module, platform, index, takes_over: index === 0, ...this.observed, strace, port };
    this.pool
      .then((pool) => (this.closed ? undefined : pool.start(task)))
      .then(this.serve, (error: Error) => this.fail(error));
  }
}

function spawn_error(command: string, cwd: string, { errno, what }: SpawnFailure): TvisorError {
  const reason = errno_name(errno);
  if (what === 'memory') return new TvisorError('the machine is out of memory', 'ask for more with --memory');
  if (what === 'cwd')
    return new TvisorError(`cannot enter ${cwd} in the guest (${reason})`, 'choose another with --cwd');
  if (errno === ENOENT || errno === ENOTDIR)
    return new TvisorError(`${command}: not found`, 'check the name, the PATH, and --root', 127);
  const remedy =
    errno === ENOEXEC || errno === ELIBBAD || errno === -LOAD_KILLED
      ? 'it is no x86-64 ELF program and no script with a #! line'
      : 'check its permissions';
  return new TvisorError(
    `${command}: cannot be executed (${errno === -LOAD_KILLED ? 'bad image' : reason})`,
    remedy,
    126,
  );
}
