"""
Times xmlrpc.client.loads for decode.mjs: the arguments are files (gzip), each line of stdin is the number of one,
and the answer to it is how many milliseconds its decoding took. It gets bytes, which it takes faster than text.
"""
import gzip
import sys
from time import perf_counter
from xmlrpc.client import loads

replies = [gzip.open(path).read() for path in sys.argv[1:]]
for line in sys.stdin:
    start = perf_counter()
    loads(replies[int(line)])
    print((perf_counter() - start) * 1000, flush=True)
