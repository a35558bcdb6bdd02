import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  add_edges,
  covers,
  edges_of,
  hash_pc,
  hash_trace,
  SignalSet,
  take_new_edges,
} from '../../../../harness/fuzz/signal.ts';
import { Random } from '../../../../harness/prog/random.ts';
import { each_seed } from '../../../support/programs.ts';

const A = 0x8000_1000;
const B = 0x8000_1004;
const C = 0x8000_2000;

test('an edge is a PC with the one before it', () => {
  assert.equal([...edges_of(new Uint32Array([A]))], [(A ^ hash_pc(0)) >>> 0]);
  const there = edges_of(new Uint32Array([A, B, C]));
  const back = edges_of(new Uint32Array([A, C, B]));
  assert.is(there.length, 3);
  assert.is(there.filter((edge) => back.includes(edge)).length, 1, 'the first edge alone is common');
});

test('edges are sorted and without repeats', () => {
  const edges = edges_of(new Uint32Array([A, B, A, B, A, B]));
  assert.is(edges.length, 3);
  assert.equal(
    [...edges],
    [...edges].sort((a, b) => a - b),
  );
});

test('the set answers as a plain set does, the edge 0 included', () => {
  each_seed(5, (random) => {
    const set = new SignalSet(undefined, 12);
    const model = new Set<number>();
    for (let i = 0; i < 3000; i++) {
      const edge = random.one_in(20) ? 0 : random.below(4096) * 0x10_0001;
      assert.is(set.has(edge), model.has(edge >>> 0 === 0 ? 1 : edge >>> 0));
      const key = edge >>> 0 === 0 ? 1 : edge >>> 0;
      assert.is(set.add(edge), !model.has(key));
      model.add(key);
      assert.is(set.size, model.size);
    }
  });
});

test('a full set takes no more, and still answers', () => {
  const set = new SignalSet(undefined, 6);
  const random = new Random(1);
  for (let i = 0; i < 1000; i++) set.add(random.u32());
  assert.is(set.size, Math.floor(64 * 0.9));
  assert.is(set.has(0x1234_5678), false);
});

test('two views of one memory share what they know', () => {
  const set = new SignalSet(undefined, 8);
  const other = new SignalSet(set.memory);
  set.add(77);
  assert.ok(other.has(77));
  assert.is(other.add(77), false);
});

test('of a trace the new edges are taken, each once', () => {
  const known = new SignalSet(undefined, 8);
  const trace = new Uint32Array([A, B, A, B]);
  assert.equal([...take_new_edges(trace, known)], [...edges_of(trace)]);
  assert.is(known.size, 3);
  assert.is(take_new_edges(trace, known).length, 0);
  assert.is(add_edges(known, edges_of(trace)).length, 0);
  assert.equal([...take_new_edges(new Uint32Array([A, C, A]), known)].length, 2);
});

test('edges and what covers them are those of plain sets', () => {
  each_seed(20, (random) => {
    const trace = Uint32Array.from({ length: random.below(2000) }, () => random.below(200) * 0x100_0011);
    const edges = new Set<number>();
    for (const [i, pc] of trace.entries()) edges.add((pc ^ hash_pc(trace[i - 1] ?? 0)) >>> 0);
    const sorted = [...edges].sort((a, b) => a - b);
    assert.equal([...edges_of(trace)], sorted);
    const wanted = sorted.filter(() => random.one_in(3));
    assert.ok(covers(trace, Uint32Array.from(wanted)));
    assert.is(covers(trace, Uint32Array.from([...wanted, 3])), edges.has(3));
  });
});

test('covers asks for every edge', () => {
  const wanted = edges_of(new Uint32Array([A, B]));
  assert.ok(covers(new Uint32Array([A, B, C]), wanted));
  assert.not.ok(covers(new Uint32Array([A, C, B]), wanted));
  assert.ok(covers(new Uint32Array(0), new Uint32Array(0)));
});

test('the hash of a trace sees order and length', () => {
  const hashes = [[], [A], [A, B], [B, A], [A, B, B]].map((pcs) => hash_trace(new Uint32Array(pcs)));
  assert.is(new Set(hashes).size, hashes.length);
});

test.run();
