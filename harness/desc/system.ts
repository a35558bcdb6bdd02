/** Descriptions of calls on the machine as a whole, and of System V IPC. */
import {
  arg,
  array,
  blob,
  bytes,
  flags,
  input,
  int16,
  int64,
  len,
  maybe,
  of,
  one_of,
  output,
  proc,
  range,
  string,
  struct,
  varying,
} from './build.ts';
import { type CallDescription, call } from './call.ts';
import { message_queue, semaphore, shm, shm_address } from './resources.ts';
import { BUFFER_OUT, TIMEOUT } from './structs.ts';

const KEY = arg('key', proc(0x7100, 4));
const IPC_FLAGS = arg('flags', flags({ IPC_CREAT: 0o1000, IPC_EXCL: 0o2000, IPC_NOWAIT: 0o4000, owner: 0o600 }));
const SHM_FLAGS = arg(
  'flags',
  flags({ SHM_RDONLY: 0o10000, SHM_RND: 0o20000, SHM_REMAP: 0o40000, SHM_EXEC: 0o100000 }),
);
const COMMAND = arg('cmd', one_of({ IPC_RMID: 0, IPC_SET: 1, IPC_STAT: 2, IPC_INFO: 3 }));
const SEMBUF = struct('sembuf', arg('num', range(0, 3, 2)), arg('op', range(-2, 2, 2)), arg('flags', int16));
const MESSAGE = struct('msgbuf', arg('type', range(1, 4)), arg('text', blob(0, 64)));
const NAME = input(string('tvisor', 'host'));

export const SYSTEM_CALLS: readonly CallDescription[] = [
  call('uname', [arg('buf', output(varying(bytes(390), 'machine')))]),
  call('sysinfo', [arg('info', output(varying(bytes(112), 'amount')))]),
  call('syslog', [arg('type', range(0, 10)), arg('buf', BUFFER_OUT), arg('len', len('buf'))]),
  call('sethostname', [arg('name', NAME), arg('len', len('name'))]),
  call('setdomainname', [arg('name', NAME), arg('len', len('name'))]),
  call('getrandom', [
    arg('buf', output(varying(blob(), 'random'))),
    arg('buflen', len('buf')),
    arg('flags', flags({ NONBLOCK: 1, RANDOM: 2 })),
  ]),
  call('shmget', [KEY, arg('size', range(0, 0x8000)), IPC_FLAGS], shm),
  call('shmat', [arg('id', of(shm)), arg('addr', of(shm_address)), SHM_FLAGS], shm_address),
  call('shmdt', [arg('addr', of(shm_address))]),
  call('shmctl', [arg('id', of(shm)), COMMAND, arg('buf', maybe(output(bytes(112))))]),
  call('semget', [KEY, arg('count', range(0, 4)), IPC_FLAGS], semaphore),
  call('semop', [arg('id', of(semaphore)), arg('ops', input(array(SEMBUF, 1, 3))), arg('count', len('ops'))]),
  call('semtimedop', [
    arg('id', of(semaphore)),
    arg('ops', input(array(SEMBUF, 1, 3))),
    arg('count', len('ops')),
    arg('timeout', TIMEOUT),
  ]),
  call('semctl', [arg('id', of(semaphore)), arg('num', range(0, 3)), arg('cmd', range(0, 17)), arg('argument', int64)]),
  call('msgget', [KEY, IPC_FLAGS], message_queue),
  call('msgsnd', [arg('id', of(message_queue)), arg('message', input(MESSAGE)), arg('size', range(0, 64)), IPC_FLAGS]),
  call('msgrcv', [
    arg('id', of(message_queue)),
    arg('message', output(bytes(72))),
    arg('size', range(0, 64)),
    arg('type', range(-2, 4)),
    IPC_FLAGS,
  ]),
  call('msgctl', [arg('id', of(message_queue)), COMMAND, arg('buf', maybe(output(bytes(120))))]),
];
