/**
 * The threads behind vCPUs: a piscina pool in which each job is a vCPU that runs until its machine ends.
 * Control goes through the machine's shared memory; what a vCPU has to tell its host goes through a
 * comlink port, because a thread that runs a vCPU never returns to its event loop.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { expose, type Remote, wrap } from 'comlink/dist/esm/comlink.mjs';
import node_endpoint from 'comlink/dist/esm/node-adapter.mjs';
import { Piscina } from 'piscina';

/** Starts vCPU threads of one machine. */
export class VcpuPool {
  private readonly pool: Piscina;
  private readonly jobs: Promise<unknown>[] = [];
  private readonly ports: MessagePort[] = [];

  /** `filename` is the module whose export `name` is the job; one thread starts at once, `limit` at most. */
  constructor(filename: string, name: string, limit: number) {
    this.pool = new Piscina({
      filename,
      name,
      minThreads: 1,
      maxThreads: limit,
      concurrentTasksPerWorker: 1,
      maxQueue: 'auto',
      idleTimeout: Number.POSITIVE_INFINITY,
      trackUnmanagedFds: false,
      atomics: 'disabled',
    });
  }

  /**
   * Starts a job. `listener` answers the calls that the job makes through the port in its task; the promise
   * ends with the job, and rejects when the thread died.
   */
  start<T extends object, L extends object>(task: T, listener: L): Promise<unknown> {
    const { port1, port2 } = new MessageChannel();
    expose(listener, node_endpoint(port1));
    port1.unref();
    this.ports.push(port1);
    const job = this.pool.run({ ...task, port: port2 }, { transferList: [port2] });
    this.jobs.push(job);
    return job;
  }

  /** Ends every thread, whatever it does. */
  async destroy(): Promise<void> {
    for (const job of this.jobs) job.catch(() => {});
    await this.pool.destroy();
    for (const port of this.ports) port.close();
  }
}

/** The other side of `start`: the listener, from inside a job. Calls are sent at once and not waited for. */
export function listener_of<L extends object>(port: MessagePort): Remote<L> {
  return wrap<L>(node_endpoint(port));
}
