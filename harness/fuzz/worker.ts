/** A worker of a campaign: a thread with a machine of its own that fuzzes until it is told to stop. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { make_target, type Target } from '../desc/target.ts';
import { HarnessError } from '../errors.ts';
import type { Executor } from '../exec/executor.ts';
import { Random } from '../prog/random.ts';
import { Fuzzer } from './fuzzer.ts';
import {
  crash_message,
  entry_of,
  type FromWorker,
  type InputMessage,
  input_message,
  type ToWorker,
} from './messages.ts';
import { parse_file } from './program_file.ts';
import { BlackBox, Runner } from './runner.ts';
import { self_test } from './self_test.ts';
import { SignalSet } from './signal.ts';
import { Stats } from './stats.ts';

/** Steps between two looks at what other workers have found. */
const INBOX_EVERY = 16;
/** Words of the control memory. */
export const CONTROL_STOP = 0;
export const CONTROL_WORDS = 1;

export interface WorkerTask {
  readonly index: number;
  readonly seed: number;
  /** Names of the descriptions to generate from. */
  readonly calls: readonly string[];
  /** Runs that this worker may make; infinity without a limit. */
  readonly runs: number;
  readonly verify_every: number;
  readonly control: SharedArrayBuffer;
  readonly known: SharedArrayBuffer;
  readonly stats: SharedArrayBuffer;
  readonly black_box: SharedArrayBuffer;
  /** Files of programs to run first. */
  readonly programs: readonly string[];
  /** What the campaign has found already. */
  readonly entries: readonly InputMessage[];
  readonly titles: readonly string[];
  readonly port: MessagePort;
}

/** How a worker ended: '' when it was told to, otherwise why it cannot work. */
export interface WorkerEnd {
  readonly problem: string;
  readonly remedy: string;
}

/** Runs a task with an executor. What is broken in kernel or executor is thrown; the main thread replaces the worker. */
export function work(task: WorkerTask, executor: Executor): WorkerEnd {
  const names = new Set(task.calls);
  const target = make_target({ enable: ({ name }) => names.has(name) });
  const send = (message: FromWorker): void => task.port.postMessage(message);
  try {
    self_test(executor, target);
    send({ type: 'ready', blocks: executor.blocks });
    campaign(task, executor, target, send);
  } catch (error) {
    if (!(error instanceof HarnessError)) throw error;
    return { problem: error.message, remedy: error.remedy };
  } finally {
    executor.close();
  }
  return { problem: '', remedy: '' };
}

function campaign(task: WorkerTask, executor: Executor, target: Target, send: (message: FromWorker) => void): void {
  const stats = new Stats(task.stats, task.index);
  const control = new Int32Array(task.control);
  const fuzzer = new Fuzzer({
    target,
    runner: new Runner(executor, target, stats, new BlackBox(task.black_box), task.verify_every),
    // Far apart, so that campaigns with neighbouring seeds have nothing in common.
    random: new Random(Math.imul(task.seed, 0x9e37_79b1) + task.index),
    known: new SignalSet(task.known),
    stats,
    sink: {
      input: (entry, loaded) => send(input_message(entry, loaded)),
      crash: (crash) => send(crash_message(crash)),
      repeated: () => {},
    },
    known_titles: task.titles,
    stop: () => Atomics.load(control, CONTROL_STOP) !== 0 || stats.execs >= task.runs,
  });
  for (const text of task.programs) {
    const { program, seed } = parse_file(target, text);
    fuzzer.load(program, seed);
  }
  for (const message of task.entries) fuzzer.import_entry(entry_of(target, message));
  for (let steps = 0; !fuzzer.stop(); steps++) {
    fuzzer.step();
    if (steps % INBOX_EVERY === 0) read_inbox(task.port, fuzzer);
  }
  fuzzer.finish();
}

function read_inbox(port: MessagePort, fuzzer: Fuzzer): void {
  for (let found = receiveMessageOnPort(port); found !== undefined; found = receiveMessageOnPort(port)) {
    const message = found.message as ToWorker;
    if (message.type === 'input') fuzzer.import_entry(entry_of(fuzzer.target, message));
    else fuzzer.know_title(message.title);
  }
}
