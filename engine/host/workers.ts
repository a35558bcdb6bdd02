/**
 * The threads behind vCPUs: a piscina pool in which each job is a vCPU that runs until its machine ends, and serves
 * calls on a port of its own.
 */
import type { Piscina } from 'piscina';
import type { Port } from './control.ts';

/** The module whose export `vcpu_job` is the job: beside this file in the bundle, in its own folder otherwise. */
export function vcpu_module(): string {
  const own = import.meta.url;
  return new URL(own.endsWith('/host/workers.js') ? '../sentry/vcpu_job.js' : './vcpu.cjs', own).href;
}

/** The module whose export `sampler_job` is the job of a sampler, likewise. */
export function sampler_module(): string {
  const own = import.meta.url;
  return new URL(own.endsWith('/host/workers.js') ? '../sentry/sampler_job.js' : './sampler.cjs', own).href;
}

/**
 * The pool tries require() first: where that loads ECMAScript modules, ending a thread in the middle of it aborts the
 * process (Node 22). Versions without the feature do not know the option.
 */
const LOADING = 'require_module' in process.features ? ['--no-experimental-require-module'] : [];

/** A pool of `least` to `most` threads that each run one job at a time: the export `name` of the module `filename`. */
export async function create_pool(filename: string, name: string, least: number, most: number): Promise<Piscina> {
  // Loaded here and not above: worker threads load this module too, and have no use for it.
  const piscina = await import('piscina');
  // As a CommonJS module the package is the class itself.
  const PiscinaPool = piscina.Piscina ?? (piscina.default as unknown as typeof piscina.Piscina);
  return new PiscinaPool({
    filename,
    name,
    execArgv: [...process.execArgv, ...LOADING],
    minThreads: least,
    maxThreads: most,
    concurrentTasksPerWorker: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    trackUnmanagedFds: false,
    atomics: 'disabled',
  });
}

/** Longer than a thread takes to start on a busy host. */
const PATIENCE_MS = 5000;

/** Starts vCPU threads of one machine. */
export class VcpuPool {
  private readonly pool: Piscina;
  private readonly jobs: Promise<unknown>[] = [];

  /** `filename` is the module whose export `name` is the job; one thread starts at once, `limit` at most. */
  static async create(filename: string, name: string, limit: number): Promise<VcpuPool> {
    return new VcpuPool(await create_pool(filename, name, 1, limit));
  }

  private constructor(pool: Piscina) {
    this.pool = pool;
  }

  /** Starts a job, which gets the port; the promise ends with it, and rejects when the thread died. */
  start(task: { readonly port: Port }): Promise<unknown> {
    const job = this.pool.run(task, { transferList: [task.port as never] });
    this.jobs.push(job);
    return job;
  }

  /**
   * Ends every thread, whatever it does. Jobs that end by themselves are waited for, up to PATIENCE_MS: a thread that is
   * ended while it loads modules leaves their descriptors open.
   */
  async destroy(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    await Promise.race([Promise.allSettled(this.jobs), patience]);
    clearTimeout(timer);
    await this.pool.destroy();
  }
}
