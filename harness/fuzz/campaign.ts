/**
 * A campaign: workers that fuzz, and the main thread that keeps what they find.
 *
 *     worker ──input, crash──> campaign ──input, title──> the other workers
 *                                 └──> work directory
 *
 * Signal, counters and the program that each worker runs lie in shared memory. A worker that dies or no longer
 * answers is replaced, and the program that it ran is a finding.
 */
import { receiveMessageOnPort } from 'node:worker_threads';
import type { Target } from '../desc/target.ts';
import { HarnessError, message_of } from '../errors.ts';
import type { Finding } from '../oracle/finding.ts';
import type { Program } from '../prog/model.ts';
import { print_program } from '../prog/print.ts';
import type { Crash } from './fuzzer.ts';
import { crash_of, type FromWorker, type InputMessage } from './messages.ts';
import type { RunningWorker, WorkerPool } from './pool.ts';
import { print_file, type SeededProgram } from './program_file.ts';
import { BlackBox } from './runner.ts';
import { SignalSet } from './signal.ts';
import { type Snapshot, snapshot_of } from './snapshot.ts';
import { Stats, stats_memory, sum_stats } from './stats.ts';
import type { WorkDir } from './work_dir.ts';
import { CONTROL_STOP, CONTROL_WORDS } from './worker.ts';

/** A program takes milliseconds: a worker that runs the same one for this long is stuck. */
const STUCK_S = 10;
/** And one that runs none: it boots, or reads a corpus of thousands. */
const STUCK_BETWEEN_S = 60;
/** After this long its program is shown. */
const SLOW_S = 5;
/** Time for a worker to finish the program at hand when it is told to stop. */
const STOP_S = 10;
const TICK_MS = 1000;
/** After a tick that comes so late the workers have had no processor either: it says nothing of them. */
const LATE_MS = 2 * TICK_MS;
/** Ticks between two lines of plot.jsonl. */
const PLOT_EVERY = 5;
/** A campaign whose workers die more often than this has another problem than the kernel. */
const MOST_LOST = 100;

/** Why a campaign ended. */
export type EndReason = 'runs' | 'time' | 'stopped' | 'crash';

export interface CampaignOptions {
  readonly target: Target;
  readonly pool: WorkerPool;
  readonly jobs: number;
  readonly seed: number;
  /** Programs to run at most, over all workers. */
  readonly runs?: number;
  readonly max_total_s?: number;
  /** End at the first finding. */
  readonly exit_on_crash?: boolean;
  /** Programs between two verifications of the reset. */
  readonly verify_every: number;
  /** Seconds after which a worker that still runs the same program is stuck; default 10. */
  readonly stuck_s?: number;
  /** Programs to begin with. */
  readonly programs?: readonly SeededProgram[];
  /** Where results are kept; without it they are only reported. */
  readonly work_dir?: WorkDir;
  /** Called about once a second, and at the end. */
  readonly progress?: (snapshot: Snapshot) => void;
  /** Called for each finding that is new; `path` is its directory, '' without a work directory. */
  readonly on_crash?: (crash: Crash, path: string) => void;
  readonly on_warning?: (message: string) => void;
}

export interface CampaignResult {
  readonly reason: EndReason;
  readonly snapshot: Snapshot;
  readonly crashes: readonly Crash[];
  /** Texts of the corpus with their seeds, in order of arrival. */
  readonly corpus: readonly { readonly text: string; readonly seed: number }[];
}

interface Slot {
  readonly index: number;
  readonly black_box: BlackBox;
  worker: RunningWorker | undefined;
  heartbeat: number;
  /** Seconds without a program that ended, counted in ticks that came in time. */
  quiet_s: number;
  stuck: boolean;
  /** Its slow program was shown. */
  shown: boolean;
  /** Its programs were loaded: what remains of them is in the corpus. */
  programs: readonly string[];
}

export class Campaign {
  private readonly options: CampaignOptions;
  private readonly control: Int32Array = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS));
  private readonly known: SignalSet = new SignalSet();
  private readonly stats: SharedArrayBuffer;
  private readonly slots: Slot[] = [];
  private readonly inputs: InputMessage[] = [];
  private readonly crashes: Crash[] = [];
  private readonly titles: Set<string>;
  private readonly rate: Rate = new Rate();
  private started = 0;
  private last_find = 0;
  private blocks = 0;
  private lost = 0;
  private ticks = 0;
  private last_tick = 0;
  private reason: EndReason | undefined;
  private failure: HarnessError | undefined;
  private abandoned = false;
  private warned = '';

  constructor(options: CampaignOptions) {
    this.options = options;
    this.stats = stats_memory(options.jobs);
    this.titles = new Set(options.work_dir?.known_titles());
  }

  /** Runs until a limit is met or `stop`. Throws a HarnessError when the machine fails its self-test. */
  async run(): Promise<CampaignResult> {
    const { jobs, max_total_s } = this.options;
    this.started = performance.now();
    this.last_tick = this.started;
    const programs = (this.options.programs ?? []).map(({ program, seed }) => print_file(print_program(program), seed));
    const timers = [setInterval(() => this.tick(), TICK_MS)];
    if (max_total_s !== undefined) timers.push(setTimeout(() => this.stop('time'), max_total_s * 1000));
    try {
      for (let index = 0; index < jobs; index++)
        this.slots.push({
          index,
          black_box: new BlackBox(),
          worker: undefined,
          heartbeat: -1,
          quiet_s: 0,
          stuck: false,
          shown: false,
          programs: programs.filter((_, i) => i % jobs === index),
        });
      await Promise.all(this.slots.map((slot) => this.run_slot(slot)));
    } finally {
      for (const timer of timers) clearTimeout(timer);
      await this.options.pool.close();
    }
    await this.finish_files();
    if (this.failure !== undefined) throw this.failure;
    const snapshot = this.snapshot();
    this.options.progress?.(snapshot);
    const corpus = this.inputs.map(({ text, seed }) => ({ text, seed }));
    return { reason: this.reason ?? 'runs', snapshot, crashes: this.crashes, corpus };
  }

  /** Ends the campaign when each worker has finished its program. */
  stop(reason: EndReason): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    Atomics.store(this.control, CONTROL_STOP, 1);
    setTimeout(() => this.abandon(), STOP_S * 1000).unref();
  }

  /** Ends the workers at once. What they have reported is kept. */
  abandon(): void {
    this.stop('stopped');
    this.abandoned = true;
    for (const { worker } of this.slots) worker?.terminate();
  }

  /** A worker, and its replacements. */
  private async run_slot(slot: Slot): Promise<void> {
    do {
      const worker = this.start(slot);
      try {
        const { problem, remedy } = await worker.end;
        this.drain(slot, worker);
        if (problem !== '') this.fail(new HarnessError(problem, remedy));
        return;
      } catch (error) {
        this.drain(slot, worker);
        if (this.abandoned) return;
        this.lost_worker(slot, slot.stuck ? `no answer for ${slot.quiet_s} s` : message_of(error).split('\n')[0]!);
      } finally {
        slot.worker = undefined;
        worker.port.close();
      }
    } while (this.reason === undefined);
  }

  private start(slot: Slot): RunningWorker {
    const { target, seed, runs, verify_every, jobs, pool } = this.options;
    const worker = pool.start({
      index: slot.index,
      // A replacement that did the same again would die the same death.
      seed: seed + this.lost * jobs,
      calls: target.calls.map(({ name }) => name),
      runs: runs === undefined ? Number.POSITIVE_INFINITY : Math.ceil(runs / jobs),
      verify_every,
      control: this.control.buffer as SharedArrayBuffer,
      known: this.known.memory,
      stats: this.stats,
      black_box: slot.black_box.memory,
      programs: slot.programs,
      entries: this.inputs,
      titles: [...this.titles],
    });
    slot.worker = worker;
    slot.stuck = false;
    slot.quiet_s = 0;
    worker.port.on('message', (message: FromWorker) => this.receive(slot, message));
    return worker;
  }

  /** Messages that are still in the port of a worker that has ended. */
  private drain(slot: Slot, { port }: RunningWorker): void {
    for (let found = receiveMessageOnPort(port); found !== undefined; found = receiveMessageOnPort(port))
      this.receive(slot, found.message as FromWorker);
  }

  private receive(slot: Slot, message: FromWorker): void {
    if (message.type === 'ready') {
      this.blocks = message.blocks;
    } else if (message.type === 'input') {
      this.inputs.push(message);
      if (!message.loaded) this.last_find = performance.now();
      this.options.work_dir?.save_program(message.text, message.seed);
      this.tell_others(slot, message);
    } else this.add_crash(crash_of(this.options.target, message), slot);
  }

  private tell_others(slot: Slot, message: InputMessage | { type: 'title'; title: string }): void {
    for (const other of this.slots) if (other !== slot) other.worker?.port.postMessage(message);
  }

  private add_crash(crash: Crash, slot: Slot): void {
    const { title } = crash.finding;
    if (this.titles.has(title)) return;
    this.titles.add(title);
    this.crashes.push(crash);
    this.tell_others(slot, { type: 'title', title });
    const record = {
      crash,
      elapsed_s: Math.round(this.elapsed()),
      execs: sum_stats(this.stats, this.options.jobs).execs,
    };
    const path = this.options.work_dir?.save_crash(record) ?? '';
    this.options.on_crash?.(crash, path);
    if (this.options.exit_on_crash === true) this.stop('crash');
  }

  /** The program that the dead worker ran is a finding; a worker that died beside one is a defect of the harness. */
  private lost_worker(slot: Slot, reason: string): void {
    this.lost++;
    const ran = slot.black_box.read(this.options.target);
    slot.black_box.clear();
    slot.programs = [];
    if (ran === undefined || this.lost > MOST_LOST) {
      this.fail(new HarnessError(`a worker ended: ${reason}`, 'this is a defect of the harness: report it'));
      return;
    }
    const { program, seed } = ran;
    const finding = lost_finding(program, reason, slot.stuck);
    this.add_crash({ finding, program, original: program, seed, recurs: false, before: [] }, slot);
  }

  private fail(failure: HarnessError): void {
    this.failure ??= failure;
    this.stop('stopped');
  }

  private tick(): void {
    const now = performance.now();
    const late = now - this.last_tick > LATE_MS;
    this.last_tick = now;
    for (const slot of this.slots) this.watch(slot, late);
    const snapshot = this.snapshot();
    this.options.progress?.(snapshot);
    this.save_state(snapshot);
  }

  /** Ends a worker that is stuck, and shows what takes long before. */
  private watch(slot: Slot, late: boolean): void {
    const beat = new Stats(this.stats, slot.index).get('heartbeat');
    if (beat !== slot.heartbeat) {
      slot.heartbeat = beat;
      slot.quiet_s = 0;
      slot.shown = false;
      return;
    }
    if (slot.worker === undefined || late) return;
    slot.quiet_s += TICK_MS / 1000;
    if (slot.quiet_s > (slot.black_box.in_use ? (this.options.stuck_s ?? STUCK_S) : STUCK_BETWEEN_S)) {
      slot.stuck = true;
      slot.worker.terminate();
    } else if (!slot.shown && slot.quiet_s > SLOW_S) this.show_slow(slot);
  }

  private show_slow(slot: Slot): void {
    slot.shown = true;
    const ran = slot.black_box.read(this.options.target);
    if (ran === undefined) return;
    this.options.on_warning?.(`a program runs for ${SLOW_S} s already:\n${print_program(ran.program)}`);
  }

  private save_state(snapshot: Snapshot): void {
    const { work_dir } = this.options;
    if (work_dir === undefined) return;
    if (work_dir.saver.problem !== '') void work_dir.saver.retry();
    if (this.ticks++ % PLOT_EVERY === 0) {
      work_dir.save_stats(snapshot);
      work_dir.append_plot(snapshot);
    }
    const { problem, pending } = work_dir.saver;
    if (problem !== '' && problem !== this.warned)
      this.options.on_warning?.(`cannot write to ${work_dir.path}: ${problem}; ${pending} files wait in memory`);
    this.warned = problem;
  }

  private async finish_files(): Promise<void> {
    const { work_dir } = this.options;
    if (work_dir === undefined) return;
    work_dir.save_stats(this.snapshot());
    work_dir.append_plot(this.snapshot());
    try {
      await work_dir.rescue();
    } finally {
      work_dir.close();
    }
  }

  private elapsed(): number {
    return (performance.now() - this.started) / 1000;
  }

  private snapshot(): Snapshot {
    const stats = sum_stats(this.stats, this.options.jobs);
    const elapsed_s = this.elapsed();
    const progress = {
      elapsed_s,
      execs_per_s: this.rate.at(elapsed_s, stats.execs),
      corpus: this.inputs.length,
      edges: this.known.size,
      blocks: this.blocks,
      crashes_unique: this.crashes.length,
      last_find_s: this.last_find === 0 ? null : (performance.now() - this.last_find) / 1000,
      workers: this.options.jobs,
      workers_lost: this.lost,
    };
    return snapshot_of(progress, stats);
  }
}

/** Programs a second over the last few samples. */
class Rate {
  private readonly samples: [elapsed_s: number, execs: number][] = [[0, 0]];

  at(elapsed_s: number, execs: number): number {
    this.samples.push([elapsed_s, execs]);
    if (this.samples.length > 6) this.samples.shift();
    const [start, before] = this.samples[0]!;
    return elapsed_s > start ? (execs - before) / (elapsed_s - start) : 0;
  }
}

function lost_finding(program: Program, reason: string, stuck: boolean): Finding {
  const names = [...new Set(program.calls.map(({ description }) => description.row.name))].join(', ');
  const title = stuck ? `stuck worker: ${names}` : `lost worker: ${reason}`;
  return { kind: 'lost_worker', title, details: `The worker's thread ended or was ended: ${reason}.`, call: -1 };
}
