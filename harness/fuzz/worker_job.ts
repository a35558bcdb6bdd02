/** The job of a worker thread: makes the machine and fuzzes it (worker.ts). */
import { create_executor } from '../exec/machine_executor.ts';
import { type WorkerEnd, type WorkerTask, work } from './worker.ts';

export function fuzz_job(task: WorkerTask): WorkerEnd {
  return work(task, create_executor());
}
