import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ptr } from '../../../engine/base/types.ts';
import { U8 } from '../../../engine/heap/memory.ts';
import { slab } from '../../../engine/heap/slab.ts';
import {
  advance_virtual,
  boot_time,
  jump_to_next_timer,
  monotonic_from_wall,
  monotonic_ns,
  set_wall_clock,
  wall_nanoseconds_at,
  wall_seconds_at,
} from '../../../engine/time/clock.ts';
import { random_fill } from '../../../engine/time/random.ts';
import { Timer } from '../../../engine/time/time.layout.ts';
import {
  register_timer,
  TIMER_USER,
  timer_arm,
  timer_cancel,
  timers_armed,
  timers_run,
} from '../../../engine/time/timer.ts';
import { test_memory } from '../../support/memory.ts';
import { random_of, seed_of } from '../../support/random.ts';

const timers = slab(Timer);
let fired: number[] = [];
let rearm = 0;
register_timer(TIMER_USER, (owner, timer) => {
  fired.push(owner);
  if (rearm > 0) {
    rearm--;
    timer_arm(timer, TIMER_USER, owner, monotonic_ns() + 10);
  }
});

function boot(): void {
  test_memory();
  boot_time({ clock: 'virtual', seed: 5 });
  fired = [];
}

test('timers fire in order of deadline, then of arming', () => {
  boot();
  const seed = seed_of('timer order');
  const next = random_of(seed);
  const random = { below: (n: number): number => next() % n };
  const all: { timer: Ptr<'Timer'>; due: number; id: number }[] = [];
  for (let i = 0; i < 300; i++) {
    const due = 1 + random.below(50);
    const timer = timers.alloc();
    timer_arm(timer, TIMER_USER, i, due);
    all.push({ timer, due, id: i });
  }
  for (let i = 0; i < 100; i++) {
    const [entry] = all.splice(random.below(all.length), 1);
    assert.ok(timer_cancel(entry!.timer));
    assert.not(timer_cancel(entry!.timer));
  }
  for (let i = 0; i < 50; i++) {
    const [entry] = all.splice(random.below(all.length), 1);
    entry!.due = 1 + random.below(50);
    timer_arm(entry!.timer, TIMER_USER, entry!.id, entry!.due);
    all.push(entry!);
  }
  while (jump_to_next_timer()) timers_run();
  const expected = all.map((entry, at) => ({ ...entry, at })).sort((a, b) => a.due - b.due || order(a) - order(b));
  assert.equal(
    fired,
    expected.map((entry) => entry.id),
    `seed ${seed}`,
  );
  assert.is(timers_armed(), 0);
  function order(entry: { at: number }): number {
    return entry.at;
  }
});

test('a timer may arm itself again, and time does not pass by itself', () => {
  boot();
  rearm = 3;
  timer_arm(timers.alloc(), TIMER_USER, 9, 100);
  timers_run();
  assert.equal(fired, []);
  while (jump_to_next_timer()) timers_run();
  assert.equal(fired, [9, 9, 9, 9]);
  assert.is(monotonic_ns(), 130);
});

test('the wall clock keeps its offset to the monotonic one', () => {
  boot();
  advance_virtual(2_500_000_000);
  set_wall_clock(1000, 1);
  assert.is(wall_seconds_at(monotonic_ns()), 1000);
  assert.is(wall_nanoseconds_at(monotonic_ns()), 1);
  advance_virtual(999_999_999);
  assert.is(wall_seconds_at(monotonic_ns()), 1001);
  assert.is(wall_nanoseconds_at(monotonic_ns()), 0);
  assert.is(monotonic_from_wall(1001, 0), monotonic_ns());
});

test('the same seed gives the same random bytes', () => {
  const draw = (seed: number): string => {
    test_memory();
    boot_time({ clock: 'virtual', seed });
    const at = timers.alloc();
    random_fill(at, 37);
    return U8.slice(at, at + 37).join();
  };
  assert.is(draw(1), draw(1));
  assert.is.not(draw(1), draw(2));
});

test.run();
