"""Sweeps of decode measurements over this host and the team's Ray cluster.

    points.py    a sweep (G x context x batch x dtype x kind of device) as points with stable ids
    kept.py      sweeps and their points in SQLite: what waits, what runs, each result once
    queue.py     the bounded queue: who runs what, retries, cancel, time left; it knows no Ray
    local.py     this host as a device
    reported.py  the kinds of accelerator that a cluster reports
    nodes.py     the cluster as devices; ray is imported here and in task.py only, in a process of its own
    task.py      what runs on a node: the worker of core.decode, unchanged
    compare.py   devices beside each other: step time, share of bandwidth, money
    follow.py    what the dashboard asks: is there a cluster, start a sweep, how far is it

`python -m core.cluster --help` is the same from a terminal.
"""
