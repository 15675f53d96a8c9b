"""Wrapping keys: one module for each kind of outermost key, and no cloud SDK outside its own."""
