import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EACCES, EEXIST, EIDRM, EINVAL, ENOENT, ENOMSG } from '../../../engine/abi/errno.ts';
import {
  GETNCNT,
  GETVAL,
  IPC_CREAT,
  IPC_EXCL,
  IPC_NOWAIT,
  IPC_RMID,
  IPC_STAT,
  SEM_UNDO,
  SETVAL,
  SHM_RDONLY,
} from '../../../engine/abi/ipc.ts';
import {
  get_user_i32,
  get_user_u8,
  get_user_u64,
  put_user_u8,
  put_user_u16,
  put_user_u64,
} from '../../../engine/mm/uaccess.ts';
import { DATA, type Guest, run_script, Script } from '../../support/script.ts';

const NR = {
  shmget: 29,
  shmat: 30,
  shmctl: 31,
  nanosleep: 35,
  getpid: 39,
  fork: 57,
  exit: 60,
  wait4: 61,
  semget: 64,
  semop: 65,
  semctl: 66,
  shmdt: 67,
  msgget: 68,
  msgsnd: 69,
  msgrcv: 70,
  msgctl: 71,
  mprotect: 10,
  setuid: 105,
};
const KEY = 77;
const AT = 0x2000_0000;

/** Appends: fork; the child runs `child` and exits, the parent runs `parent` and waits for it. */
function forked(s: Script, child: () => void, parent: () => void): void {
  let child_at = 0;
  s.call(NR.fork).jump_if(
    (g) => g.result() === 0,
    () => child_at,
  );
  parent();
  s.call(NR.wait4, -1, 0, 0, 0).call(NR.exit, 0);
  child_at = s.here();
  child();
  s.call(NR.exit, 0);
}

/** Appends a sleep of `ns`, so that on the virtual clock everyone else goes first. */
function sleep(s: Script, ns: number): void {
  s.do(() => put_user_u64(DATA + 0x800, 0) + put_user_u64(DATA + 0x808, ns)).call(NR.nanosleep, DATA + 0x800, 0);
}

test('a segment is shared with a child, counted, and ends with its last attachment', () => {
  const seen: number[] = [];
  const see = (g: Guest): number => seen.push(g.result());
  const s = new Script();
  s.call(NR.shmget, KEY, 5000, 0o600).do(see);
  s.call(NR.shmget, KEY, 5000, IPC_CREAT | 0o600).do(see);
  s.call(NR.shmget, KEY, 5000, IPC_CREAT | IPC_EXCL).do(see);
  s.call(NR.shmget, KEY, 9000, 0).do(see);
  s.call(NR.shmat, 0, AT + 1, 0).do(see);
  s.call(NR.shmat, 0, AT, 0).do((g) => seen.push(g.result() - AT));
  s.call(NR.shmat, 0, AT, 0).do(see);
  s.call(NR.shmat, 0, AT + 0x10000, SHM_RDONLY).do((g) => seen.push(g.result() - AT));
  s.call(NR.mprotect, AT + 0x10000, 4096, 3).do(see);
  forked(
    s,
    () => {
      s.do(() => put_user_u8(AT + 4999, 9));
      s.call(NR.shmctl, 0, IPC_STAT, DATA).do(() => seen.push(get_user_u64(DATA + 88)));
    },
    () => {
      sleep(s, 1000);
      s.do(() => seen.push(get_user_u8(AT + 0x10000 + 4999)));
      s.call(NR.shmctl, 0, IPC_RMID, 0).do(see);
      s.call(NR.shmget, KEY, 0, 0).do(see);
      s.call(NR.shmctl, 0, IPC_STAT, DATA).do(() => seen.push(get_user_i32(DATA + 20), get_user_u64(DATA + 88)));
      s.call(NR.shmdt, AT).do(see);
      s.call(NR.shmdt, AT).do(see);
      s.call(NR.shmdt, AT + 0x10000).do(see);
      s.call(NR.shmctl, 0, IPC_STAT, DATA).do(see);
    },
  );
  assert.is(run_script(s), 0);
  const removed = [0, -ENOENT, 0o1600, 2, 0, -EINVAL, 0, -EINVAL];
  assert.equal(seen, [-ENOENT, 0, -EEXIST, -EINVAL, -EINVAL, 0, -EINVAL, 0x10000, -EACCES, 4, 9, ...removed]);
});

/** Writes struct sembuf `i` of an array. */
function sembuf(at: number, i: number, number: number, amount: number, flags: number): void {
  for (const [j, value] of [number, amount & 0xffff, flags].entries()) put_user_u16(at + i * 6 + j * 2, value);
}

test('semaphore operations are done all or none, wait, and are undone at the end of the process', () => {
  const seen: number[] = [];
  const see = (g: Guest): number => seen.push(g.result());
  const s = new Script();
  s.call(NR.semget, KEY, 40, IPC_CREAT | 0o600).do(see);
  s.call(NR.semctl, 0, 39, SETVAL, 2);
  forked(
    s,
    () => {
      // Takes two of semaphore 39, then one of semaphore 0, which the parent gives.
      s.do(() => {
        sembuf(DATA, 0, 39, -2, SEM_UNDO);
        sembuf(DATA, 1, 0, -1, 0);
      });
      s.call(NR.semop, 0, DATA, 2).do(see);
      s.call(NR.semctl, 0, 39, GETVAL, 0).do(see);
    },
    () => {
      sleep(s, 1000);
      s.call(NR.semctl, 0, 39, GETVAL, 0).do(see);
      s.call(NR.semctl, 0, 0, GETNCNT, 0).do(see);
      s.do(() => sembuf(DATA, 0, 0, 1, 0));
      s.call(NR.semop, 0, DATA, 1).do(see);
      sleep(s, 1000);
      s.call(NR.semctl, 0, 39, GETVAL, 0).do(see);
      s.call(NR.semctl, 0, 0, GETNCNT, 0).do(see);
      s.call(NR.semctl, 0, 0, IPC_RMID, 0).do(see);
    },
  );
  assert.is(run_script(s), 0);
  assert.equal(seen, [0, 2, 1, 0, 0, 0, 2, 0, 0]);
});

test('removing a semaphore set ends the wait of others', () => {
  const seen: number[] = [];
  const s = new Script();
  s.call(NR.semget, KEY, 1, IPC_CREAT | 0o600);
  forked(
    s,
    () =>
      s
        .do(() => sembuf(DATA, 0, 0, -1, 0))
        .call(NR.semop, 0, DATA, 1)
        .do((g) => seen.push(g.result())),
    () => {
      sleep(s, 1000);
      s.call(NR.semctl, 0, 0, IPC_RMID, 0);
    },
  );
  assert.is(run_script(s), 0);
  assert.equal(seen, [-EIDRM]);
});

test('messages are received by type, waited for, and bounded by the capacity of their queue', () => {
  const seen: number[] = [];
  const see = (g: Guest): number => seen.push(g.result());
  const s = new Script();
  s.call(NR.msgget, KEY, IPC_CREAT | 0o600).do(see);
  s.call(NR.msgrcv, 0, DATA, 100, 0, IPC_NOWAIT).do(see);
  for (const type of [5, 3]) s.do(() => put_user_u64(DATA, type)).call(NR.msgsnd, 0, DATA, 8000, 0);
  forked(
    s,
    // The third message of 8000 bytes does not fit until one has gone.
    () =>
      s
        .do(() => put_user_u64(DATA, 7))
        .call(NR.msgsnd, 0, DATA, 8000, 0)
        .do(see),
    () => {
      sleep(s, 1000);
      s.call(NR.msgrcv, 0, DATA, 8000, -4, 0).do(() => seen.push(get_user_u64(DATA)));
      s.call(NR.msgrcv, 0, DATA, 8000, 7, 0).do(() => seen.push(get_user_u64(DATA)));
      s.call(NR.msgctl, 0, IPC_STAT, DATA).do(() => seen.push(get_user_u64(DATA + 72), get_user_u64(DATA + 80)));
      s.call(NR.msgctl, 0, IPC_RMID, 0).do(see);
      s.call(NR.msgrcv, 0, DATA, 8000, 0, 0).do(see);
    },
  );
  assert.is(run_script(s), 0);
  assert.equal(seen, [0, -ENOMSG, 3, 0, 7, 8000, 1, 0, -EINVAL]);
});

test.run();
