-- Tables, closures, strings and floating point. Argument: rounds.
local rounds = tonumber(arg[1])

local function sieve(limit)
  local composite, count = {}, 0
  for i = 2, limit do
    if not composite[i] then
      count = count + 1
      for j = i * i, limit, i do composite[j] = true end
    end
  end
  return count
end

local function words(n)
  local parts, seen = {}, {}
  for i = 1, n do
    local word = string.format("w%d", i * 7919 % 501)
    seen[word] = (seen[word] or 0) + 1
    parts[#parts + 1] = word:sub(1, 3):upper()
  end
  return #table.concat(parts, " ") + seen.w0
end

local function integral(f, n)
  local sum = 0.0
  for i = 1, n do sum = sum + f((i - 0.5) / n) end
  return sum / n
end

local total = 0
for i = 1, rounds do
  total = total + sieve(2000) + words(1000)
  total = total + integral(function(x) return 4 / (1 + x * x) end, 5000)
end
print(string.format("%.9f", total))
