"""This machine as the rest of Headroom sees it: one face over Linux, macOS and Windows.

    children.py   starts a worker process, ends it with all that it started, says in words how it ended
    guard.py      inside a worker: it ends with its parent, goes first when memory runs out, keeps to a memory limit
    lock.py       one holder at a time over all processes, freed however the holder ends
    memory.py     what is free
    processor.py  the CPU's name and cores, whether an NVIDIA GPU is here
    compiler.py   the C++ compiler, or what to install
    folders.py    where data is kept
    packages.py   what is not installed, in one line
    optional.py   psutil, where it is installed
    linux.py      what only Linux has; nothing else in Headroom asks for it

| | Linux | macOS | Windows |
|---|---|---|---|
| a worker ends with its parent | by the kernel, at once | by its closed input or a look | by a look |
| a memory limit | enforced: an allocation fails | watched: the worker is ended | watched: the worker is ended |
| memory runs out | the kernel ends the worker first | the worker ends itself | the worker ends itself |
| ending a worker's tree | process group and psutil | process group and psutil | psutil |
| huge pages | asked for | the system decides | the system decides |
| the compiled kernel | g++ or clang++ | clang++ | none: torch's paths |

Nothing here imports the rest of core, torch or a module that one of the systems lacks. psutil is used where it is
installed: a measurement from a terminal on a bare GPU box goes on without it.
"""
