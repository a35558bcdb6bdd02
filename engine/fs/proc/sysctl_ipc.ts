/** Limits of System V IPC in /proc/sys/kernel (sysvipc(7), proc_sys_kernel(5)). */
import { EINVAL } from '../../abi/errno.ts';
import { MSGMAX, MSGMNB, SEMMNS, SEMMSL, SEMOPM, SHM_LIMIT } from '../../abi/ipc.ts';
import type { I32Field } from '../../heap/field.ts';
import { ipc_root, ipc_table, lock_ipc, unlock_ipc } from '../../kernel/ipc/ids.ts';
import { IPC_INDEX_LIMIT, IPC_MSG, IPC_SEM, IPC_SHM, IpcRoot, IpcTable } from '../../kernel/ipc/ipc.layout.ts';
import { constant, file, type PseudoNode } from '../pseudo/node.ts';

/** A file with one number that can be set from `lowest` to `highest`. */
function setting(
  name: string,
  read: () => string | number,
  set: (value: number) => void,
  [lowest, highest]: readonly [number, number],
): PseudoNode {
  return {
    ...file(name, () => `${read()}\n`, 0o644),
    write(_subject, text) {
      const word = text.trim();
      const value = Number(word);
      if (!/^-?[0-9]+$/.test(word) || value < lowest || value > highest) return -EINVAL;
      lock_ipc();
      set(value);
      unlock_ipc();
      return 0;
    },
  };
}

function table_setting(name: string, kind: number, field: I32Field<'IpcTable'>, range: readonly [number, number]) {
  return setting(
    name,
    () => field.get(ipc_table(kind)),
    (value) => field.set(ipc_table(kind), value),
    range,
  );
}

const IDS: readonly [number, number] = [-1, 0x7fff_ffff];
const COUNTS: readonly [number, number] = [0, IPC_INDEX_LIMIT];

function shm_max(): string | number {
  const value = IpcRoot.shm_max.get(ipc_root());
  return value === Number(SHM_LIMIT) ? String(SHM_LIMIT) : value;
}

export const IPC_SYSCTLS: readonly PseudoNode[] = [
  setting('shmmax', shm_max, (value) => IpcRoot.shm_max.set(ipc_root(), value), [0, 2 ** 64]),
  constant('shmall', String(SHM_LIMIT)),
  table_setting('shmmni', IPC_SHM, IpcTable.limit, COUNTS),
  table_setting('shm_next_id', IPC_SHM, IpcTable.next_id, IDS),
  constant('msgmax', MSGMAX),
  constant('msgmnb', MSGMNB),
  table_setting('msgmni', IPC_MSG, IpcTable.limit, COUNTS),
  table_setting('msg_next_id', IPC_MSG, IpcTable.next_id, IDS),
  file('sem', () => `${[SEMMSL, SEMMNS, SEMOPM, IpcTable.limit.get(ipc_table(IPC_SEM))].join('\t')}\n`),
  table_setting('sem_next_id', IPC_SEM, IpcTable.next_id, IDS),
];
