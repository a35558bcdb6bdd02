/** The end of everything System V IPC holds, for the host: objects outlive the processes that made them. */

import { ipc_at, ipc_table } from './ids.ts';
import { IPC_MSG, IPC_SEM, IPC_SHM, IpcObject, IpcTable } from './ipc.layout.ts';
import { msg_destroy } from './msg.ts';
import { sem_destroy } from './sem.ts';
import { shm_destroy } from './shm.ts';

const KINDS = [
  [IPC_SHM, shm_destroy],
  [IPC_SEM, sem_destroy],
  [IPC_MSG, msg_destroy],
] as const;

/** Removes every segment, semaphore set and message queue. No task is running. */
export function ipc_clear(): void {
  for (const [kind, destroy] of KINDS)
    for (let index = IpcTable.highest.get(ipc_table(kind)); index >= 0; index--) {
      const object = ipc_at(kind, index);
      if (object !== 0) destroy(IpcObject.id.get(object));
    }
}
