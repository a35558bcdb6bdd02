/** The threads behind a campaign: a piscina pool in which each job is a worker that runs until it is told to stop. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { create_pool } from '../../engine/host/workers.ts';
import type { WorkerEnd, WorkerTask } from './worker.ts';

/** A worker at work. */
export interface RunningWorker {
  readonly port: MessagePort;
  /** How it ended; rejects when its thread died. */
  readonly end: Promise<WorkerEnd>;
  /** Ends its thread, whatever it does. */
  terminate(): void;
}

/** Where workers come from: threads, or what a test puts in their place. */
export interface WorkerPool {
  start(task: Omit<WorkerTask, 'port'>): RunningWorker;
  close(): Promise<void>;
}

/** The module whose export `fuzz_job` is the job: beside this file, or beside the bundle. */
function job_module(): string {
  const own = import.meta.url;
  return new URL(own.endsWith('/fuzz/pool.js') ? './worker_job.js' : './fuzz_worker.cjs', own).href;
}

export class ThreadPool implements WorkerPool {
  private readonly pool: Piscina;

  static async create(threads: number, filename = job_module(), name = 'fuzz_job'): Promise<ThreadPool> {
    return new ThreadPool(await create_pool(filename, name, threads, threads));
  }

  private constructor(pool: Piscina) {
    this.pool = pool;
  }

  start(task: Omit<WorkerTask, 'port'>): RunningWorker {
    const { port1, port2 } = new MessageChannel();
    const stop = new AbortController();
    const end = this.pool.run(
      { ...task, port: port2 },
      { transferList: [port2 as never], signal: stop.signal },
    ) as Promise<WorkerEnd>;
    return { port: port1, end, terminate: () => stop.abort() };
  }

  async close(): Promise<void> {
    await this.pool.destroy();
  }
}
