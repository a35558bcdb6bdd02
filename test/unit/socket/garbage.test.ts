/** Sockets that only messages hold go when the last descriptor that could receive them is closed. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { socket_messages, unix_sockets } from '../../../engine/socket/message.ts';
import { set_syscall_tracer } from '../../../engine/syscalls/dispatch.ts';
import { syscall_by_name } from '../../../engine/syscalls/table.ts';
import { run_lines, summary } from '../../support/executor.ts';

const PAIR = 'socketpair(0x1, 0x5, 0x0, &(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff})';
const OTHER = 'socketpair(0x1, 0x5, 0x0, &(0x7f0000000010)={<r2=>0xffffffffffffffff, <r3=>0xffffffffffffffff})';

/** Sends descriptor `what` over `over`. */
function send(over: string, what: string): string {
  const control = `&(0x7f0000000380)={0x18, 0x1, 0x1, [${what}]}, 0x18`;
  const data = '&(0x7f0000000100)=[{&(0x7f00000000c0)="61", 0x1}], 0x1';
  return `sendmsg(${over}, &(0x7f0000000140)={0x0, 0x0, ${data}, ${control}, 0x0}, 0x4000)`;
}

/** Runs the lines and getppid behind them: how many sockets and messages there are by then. */
function left_by(lines: readonly string[]): string {
  const getppid = syscall_by_name('getppid')?.number;
  let left = '';
  const enter = (number: number): void => {
    if (number === getppid) left = `${unix_sockets.live()} sockets, ${socket_messages.live()} messages`;
  };
  set_syscall_tracer({ enter, block() {}, leave() {} });
  const outcome = run_lines([...lines, 'getppid()']);
  set_syscall_tracer(null);
  assert.is(outcome.status, 'done', summary(outcome));
  assert.equal(outcome.leaks, []);
  assert.not(
    outcome.calls.some(({ result }) => result < 0),
    summary(outcome),
  );
  return left;
}

test('a socket that was sent over itself goes with its peer', () => {
  assert.is(left_by([PAIR, send('r1', 'r0'), 'close(r0)']), '2 sockets, 1 messages');
  assert.is(left_by([PAIR, send('r1', 'r0'), 'close(r0)', 'close(r1)']), '0 sockets, 0 messages');
});

test('sockets that wait in the queues of each other go when another one is closed', () => {
  const crossed = [PAIR, OTHER, send('r1', 'r2'), send('r3', 'r0'), 'close(r0)', 'close(r2)'];
  assert.is(left_by(crossed), '4 sockets, 2 messages');
  assert.is(left_by([...crossed, 'close(r1)', 'close(r3)']), '0 sockets, 0 messages');
});

test('what can still be received stays', () => {
  const sent = [PAIR, OTHER, send('r1', 'r2'), 'close(r2)', 'close(r3)'];
  assert.is(left_by(sent), '4 sockets, 1 messages');
  assert.is(left_by([...sent, 'close(r0)']), '2 sockets, 0 messages', 'the open one and its dead peer');
});

test('a pair without memory for its second file leaves nothing', () => {
  for (let nth = 1; nth < 12; nth++) {
    const { status, leaks, calls } = run_lines([`${PAIR} (fail_nth: ${nth})`]);
    assert.is(status, 'done');
    assert.equal(leaks, [], `fail_nth ${nth}`);
    if (calls[0]?.fault_injected === true) assert.ok([-12, -14].includes(calls[0].result));
  }
});

test.run();
