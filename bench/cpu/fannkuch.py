"""Most reversals of a prefix that bring 1 to the front, over all permutations. Argument: their length."""
import sys


def fannkuch(n):
    order, count, most, checksum, sign = list(range(n)), [0] * n, 0, 0, 1
    while True:
        if order[0]:
            stack, flips = order[:], 0
            while stack[0]:
                first = stack[0] + 1
                stack[:first] = reversed(stack[:first])
                flips += 1
            most = max(most, flips)
            checksum += sign * flips
        if sign == 1:
            order[0], order[1] = order[1], order[0]
            sign = -1
            continue
        order[1], order[2] = order[2], order[1]
        sign = 1
        for i in range(2, n):
            if count[i] < i:
                count[i] += 1
                break
            count[i] = 0
            if i == n - 1:
                return most, checksum
            order.insert(i + 1, order.pop(0))


print(*fannkuch(int(sys.argv[1])))
