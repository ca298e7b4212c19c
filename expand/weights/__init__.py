"""Reads and writes weights and model files, also weights in the layouts of other projects.

Other packages call `models.find_model`, `models.read_model`, `models.load_model` and `models.write_model` for
model files; `reading.read_weights`, `writing.save_weights` and `layouts.to_layout` for weights.
"""
