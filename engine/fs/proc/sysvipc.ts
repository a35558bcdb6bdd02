/** /proc/sysvipc: the System V objects of the machine (proc_sysvipc(5)). */
import type { Ptr } from '../../base/types.ts';
import { ipc_at, ipc_table, lock_ipc, unlock_ipc } from '../../kernel/ipc/ids.ts';
import {
  IPC_MSG,
  IPC_SEM,
  IPC_SHM,
  IpcObject,
  IpcTable,
  MsgQueue,
  SemSet,
  ShmSegment,
} from '../../kernel/ipc/ipc.layout.ts';
import { shm_attachments } from '../../kernel/ipc/shm.ts';
import { Mapping } from '../../vfs/mapping.layout.ts';
import { directory, file, type PseudoNode } from '../pseudo/node.ts';

type O = Ptr<'IpcObject'>;
/** Column: its value and width. */
type Column = readonly [number, number];

function text(header: string, kind: number, own: (object: O) => readonly Column[], times: (object: O) => Column[]) {
  return (): string => {
    let out = `${header}\n`;
    lock_ipc();
    for (let index = 0; index <= IpcTable.highest.get(ipc_table(kind)); index++) {
      const object = ipc_at(kind, index);
      if (object === 0) continue;
      const mode = (IpcObject.mode.get(object) & 0o7777).toString(8).padStart(4);
      const ids = [IpcObject.uid, IpcObject.gid, IpcObject.cuid, IpcObject.cgid].map((f): Column => [f.get(object), 5]);
      const cells = [...own(object), ...ids, ...times(object)].map(([value, width]) => String(value).padStart(width));
      const head = [IpcObject.key, IpcObject.id].map((f) => String(f.get(object)).padStart(10)).join(' ');
      out += `${head}  ${mode} ${cells.join(' ')}\n`;
    }
    unlock_ipc();
    return out;
  };
}

function shm(object: O): readonly Column[] {
  const s = object as unknown as Ptr<'ShmSegment'>;
  const pids: Column[] = [
    [ShmSegment.cpid.get(s), 5],
    [ShmSegment.lpid.get(s), 5],
  ];
  return [[ShmSegment.size.get(s), 21], ...pids, [shm_attachments(s), 6]];
}

function shm_times(object: O): Column[] {
  const s = object as unknown as Ptr<'ShmSegment'>;
  const resident = Mapping.pages.get(ShmSegment.mapping.get(s)) * 4096;
  return [
    [ShmSegment.atime.get(s), 10],
    [ShmSegment.dtime.get(s), 10],
    [IpcObject.ctime.get(object), 10],
    [resident, 21],
    [0, 21],
  ];
}

function msg(object: O): readonly Column[] {
  const q = object as unknown as Ptr<'MsgQueue'>;
  return [
    [MsgQueue.bytes.get(q), 11],
    [MsgQueue.count.get(q), 10],
    [MsgQueue.last_sender.get(q), 5],
    [MsgQueue.last_receiver.get(q), 5],
  ];
}

function msg_times(object: O): Column[] {
  const q = object as unknown as Ptr<'MsgQueue'>;
  return [
    [MsgQueue.stime.get(q), 10],
    [MsgQueue.rtime.get(q), 10],
    [IpcObject.ctime.get(object), 10],
  ];
}

function sem_times(object: O): Column[] {
  const set = object as unknown as Ptr<'SemSet'>;
  return [
    [SemSet.otime.get(set), 10],
    [IpcObject.ctime.get(object), 10],
  ];
}

const MSG_HEADER =
  '       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime';
const SEM_HEADER = '       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime';
const SHM_HEADER =
  '       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap';

export const SYSVIPC: PseudoNode = directory('sysvipc', [
  file('msg', text(MSG_HEADER, IPC_MSG, msg, msg_times)),
  file(
    'sem',
    text(SEM_HEADER, IPC_SEM, (object) => [[SemSet.count.get(object as unknown as Ptr<'SemSet'>), 10]], sem_times),
  ),
  file('shm', text(SHM_HEADER, IPC_SHM, shm, shm_times)),
]);
