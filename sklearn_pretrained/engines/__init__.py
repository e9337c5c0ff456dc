"""A fitted featurizer or pipeline, and a table of Ray, Dask, Spark or Hugging Face → its rows.

Each engine is a module of its own, which imports the engine when it is used.
"""
