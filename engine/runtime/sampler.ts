/** The sampler of a profiled machine: a thread of its own (sentry/sampler_job.ts), and what it shares with the vCPUs. */
import { create_pool, sampler_module } from '../host/workers.ts';
import { ProfileArea } from '../sentry/profile_area.ts';
import type { SamplerTask } from '../sentry/sampler_job.ts';

type Pool = Awaited<ReturnType<typeof create_pool>>;

export class Sampler {
  readonly area: SharedArrayBuffer;
  private readonly pool: Pool;
  private readonly job: Promise<unknown>;

  /** Resolves when it samples. Rejects when there can be no thread. */
  static async start(memory: WebAssembly.Memory, vcpus: number): Promise<Sampler> {
    const area = ProfileArea.create(vcpus);
    const pool = await create_pool(sampler_module(), 'sampler_job', 1, 1);
    const task: SamplerTask = { memory, area, vcpus };
    const sampler = new Sampler(area, pool, pool.run(task));
    const begun = new ProfileArea(area);
    let failed: Error | null = null;
    sampler.job.catch((error: Error) => {
      failed = error;
    });
    while (!begun.begun() && failed === null) await new Promise((resolve) => setTimeout(resolve, 1));
    if (failed !== null) throw failed;
    return sampler;
  }

  private constructor(area: SharedArrayBuffer, pool: Pool, job: Promise<unknown>) {
    this.area = area;
    this.pool = pool;
    this.job = job;
  }

  /** Ends the thread. */
  async end(): Promise<void> {
    new ProfileArea(this.area).end();
    await this.job.catch(() => {});
    await this.pool.destroy();
  }
}
