"""
check.mjs's peer in Python: check.py once|each MODULE.SYMVERS RPM...
`each` asks rpm about one file after the other, which is common; `once` asks about all of them in one call. Prints how
many symbols of each rpm the kernel has not, or has with another CRC.
"""
import re
import subprocess
import sys

KERNEL_SYMBOL = re.compile(r"kernel\((.*)\) = (0x[0-9a-f]+)")
# One line for each dependency, as --requires prints it, with the rpm's own name before it.
FORMAT = "[%{=NVR} %{REQUIRENAME} %{REQUIREFLAGS:depflags} %{REQUIREVERSION}\n]"


def ask(*arguments):
    return subprocess.run(["rpm", "-qp", *arguments], check=True, capture_output=True, text=True).stdout


def requires_of_each(paths):
    for path in paths:
        yield path.rpartition("/")[2].removesuffix(".rpm"), ask("--requires", path).splitlines()


def requires_at_once(paths):
    kmods = {}
    for line in ask("--queryformat", FORMAT, *paths).splitlines():
        kmod, _, dependency = line.partition(" ")
        kmods.setdefault(kmod, []).append(dependency)
    return kmods.items()


way, symvers, *rpms = sys.argv[1:]
crcs = {}
with open(symvers) as lines:
    for line in lines:
        crc, symbol, _ = line.split("\t", 2)
        crcs[symbol] = crc
for kmod, requires in requires_at_once(rpms) if way == "once" else requires_of_each(rpms):
    needed = filter(None, map(KERNEL_SYMBOL.fullmatch, requires))
    print(kmod, sum(crcs.get(match[1]) != match[2] for match in needed))
