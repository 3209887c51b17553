"""Models: what each model caches and weighs, side by side."""
