# Counts words and sums their lengths by first letter.
{
  for (i = 1; i <= NF; i++) {
    count[$i]++
    letters[substr($i, 1, 1)] += length($i)
  }
  if ($0 ~ /ab+a|e.e/) matched++
}
END {
  for (word in count) if (count[word] > most) most = count[word]
  print NR, matched, most, letters["a"], letters["e"]
}
