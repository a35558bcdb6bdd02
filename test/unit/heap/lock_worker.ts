import { workerData } from 'node:worker_threads';
import { set_lock_owner } from '../../../engine/heap/lock.ts';
import { bind_memory } from '../../../engine/heap/memory.ts';
import { hammer } from './lock_hammer.ts';

const { memory, page, rounds } = workerData as { memory: WebAssembly.Memory; page: number; rounds: number };
bind_memory(memory);
set_lock_owner(1);
hammer(page, rounds);
