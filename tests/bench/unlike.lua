-- Each request with a query of its own, so that no two heads are the same.
local number = 0

function request()
  number = number + 1
  return wrk.format(nil, wrk.path .. "?n=" .. number)
end

dofile(os.getenv("BENCH_REPORT"))
