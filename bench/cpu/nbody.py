"""Five bodies under gravity, in double arithmetic. Argument: steps."""
import sys

BODIES = [
    ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 39.47),
    ([4.84, -1.16, -0.10], [0.60, 2.81, -0.02], 0.0377),
    ([8.34, 4.12, -0.40], [-1.01, 1.82, 0.008], 0.0113),
    ([12.89, -15.11, -0.22], [1.08, 0.86, -0.010], 0.0017),
    ([15.37, -25.91, 0.17], [0.97, 0.59, -0.034], 0.0020),
]
PAIRS = [(a, b) for i, a in enumerate(BODIES) for b in BODIES[i + 1 :]]


def advance(dt):
    for (x1, v1, m1), (x2, v2, m2) in PAIRS:
        dx, dy, dz = x1[0] - x2[0], x1[1] - x2[1], x1[2] - x2[2]
        force = dt / (dx * dx + dy * dy + dz * dz) ** 1.5
        for v, d in enumerate((dx, dy, dz)):
            v1[v] -= d * m2 * force
            v2[v] += d * m1 * force
    for x, v, _ in BODIES:
        for k in range(3):
            x[k] += dt * v[k]


for _ in range(int(sys.argv[1])):
    advance(0.001)
print(sum(x[0] + 2 * x[1] + 3 * x[2] for x, _, _ in BODIES))
