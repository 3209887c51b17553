"""How GQA is made from an MHA checkpoint, tried on a transformer small enough to train while one watches.

conversion.py merges heads (numpy), recipe.py and results.py say what is run and what came out, runs.py keeps one
worker process; network.py and worker.py are that process, and the only ones here that import torch.
"""
