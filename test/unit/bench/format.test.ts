/** Tables of measurements. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { format_table, format_value } from '../../../bench/core/format.ts';
import type { Measurement } from '../../../bench/core/report.ts';

function cell(
  name: string,
  column: string,
  samples: readonly number[],
  better: 'lower' | 'higher' = 'lower',
): Measurement {
  return { suite: 's', name, column, unit: better === 'lower' ? 'ns' : '1/s', better, samples };
}

test('values have three digits and a unit that suits them', () => {
  assert.is(format_value(1.234, 'ns'), '1.23 ns');
  assert.is(format_value(9999, 'ns'), '9999 ns');
  assert.is(format_value(12_345, 'ns'), '12.3 us');
  assert.is(format_value(12_345_678, 'ns'), '12.3 ms');
  assert.is(format_value(25_000, '1/s'), '25.0 k/s');
  assert.is(format_value(Number.NaN, 'ms'), '-');
});

test('the best sample counts, and ratios are costs', () => {
  const rows = [cell('a', 'native', [20, 10]), cell('a', 'interp', [50, 40]), cell('b', 'interp', [7])];
  assert.is(
    format_table(rows, { base: 'native' }),
    ['    native   interp  ratio', 'a  10.0 ns  40.0 ns  4.00x', 'b        -  7.00 ns      -', ''].join('\n'),
  );
  const rates = [cell('a', 'native', [100, 90], 'higher'), cell('a', 'interp', [25, 10], 'higher')];
  assert.match(format_table(rates, { base: 'native' }), /^a +100 \/s +25\.0 \/s +4\.00x$/m);
});

test('a column may have another reference, and be a reference only', () => {
  const rows = [
    cell('a', 'native', [100]),
    cell('a', 'less', [10]),
    cell('a', 'interp', [200]),
    cell('a', 'jit', [300]),
    cell('b', 'native', [100]),
    cell('b', 'interp', [500]),
    cell('b', 'jit', [1200]),
    cell('c', 'native', [1]),
    cell('c', 'jit', [1000]),
  ];
  const text = format_table(rows, {
    base: 'native',
    reference: { interp: 'less' },
    hidden: ['less'],
    ratios_only: true,
    mean: (name) => name !== 'c',
  });
  assert.is(
    text,
    [
      '                 native  interp       jit',
      'a                100 ns  20.00x     3.00x',
      'b                100 ns   5.00x    12.00x',
      'c               1.00 ns       -  1000.00x',
      'geometric mean           10.00x     6.00x',
      '',
    ].join('\n'),
  );
});

test('without the base there are no ratios', () => {
  assert.is(format_table([cell('a', 'interp', [5])], { base: 'native' }), '    interp\na  5.00 ns\n');
});

test.run();
