/** A worker thread that fuzzes the toy kernel: the job of test campaigns. */
import { type WorkerEnd, type WorkerTask, work } from '../../harness/fuzz/worker.ts';
import { type Defect, ToyKernel } from './toy_kernel.ts';

/** The defects come from the environment: a thread has no other parameters than the real one's. */
export function fuzz_job(task: WorkerTask): WorkerEnd {
  const defects = (process.env.TOY_DEFECTS ?? '').split(',').filter((name) => name !== '') as Defect[];
  return work(task, new ToyKernel(...defects));
}
