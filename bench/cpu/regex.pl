# Regular expressions over lines. Argument: a file.
use strict;
my ($vowels, $pairs, $swapped, $long) = (0, 0, 0, 0);
open my $text, '<', $ARGV[0] or die "$ARGV[0]: $!";
while (<$text>) {
    $vowels += () = /[aeiou]{2,}/g;
    $pairs++ if /\b(\w)(\w)\w*\2\1\b/;
    $long++ if /^(?:\w+\s+){5,8}\w*(?:ing|ed|a)\b/;
    $swapped += s/(\w+)\s+(\w+)/$2 $1/g;
}
print "$vowels $pairs $swapped $long\n";
