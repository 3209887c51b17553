"""Measures one decode step's attention on this host, and holds the roofline's prediction against it.

    plan.py      what a run will do: its bytes, its FLOPs, and how it is scaled to fit memory (no torch)
    records.py   a run as data: device, roofline, every sample; record_files.py, its JSON and CSV (no torch)
    store.py     runs kept in SQLite under HEADROOM_DATA_DIR (no torch)
    worker.py    the child process of a run, as the dashboard follows it (no torch)
    run.py       the run itself: roofline, kernels, check, timing
    cuda_graph.py  a timed call replayed as a CUDA graph
    kernels*.py  every way this host can compute it; cpp/ is the CPU's own, built where a C++ compiler is
    triton_launch.py  how the Triton kernel is launched: tile, warps, stages
    step.py      a whole decode step; model_check.py sets its sum beside transformers' own model

`python -m core.decode --help` is the same code from a terminal; it needs torch alone.
"""
