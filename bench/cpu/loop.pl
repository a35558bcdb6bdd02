# Integer arithmetic, arrays and hashes. Argument: rounds.
use strict;
use integer;
my ($state, $sum, @row, %count) = (1, 0);
for my $i (1 .. $ARGV[0]) {
    $state = ($state * 1103515245 + 12345) & 0x7fffffff;
    $row[$state % 1000] += $i;
    $count{$state >> 20}++ if $i % 4 == 0;
    $sum = ($sum * 31 + $row[$i % 1000]) & 0xffffffff;
}
print "$sum ", scalar(keys %count), "\n";
