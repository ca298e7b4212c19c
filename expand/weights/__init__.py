"""Reads and writes weights and model files, also weights in the layouts of other projects.

Other packages call `models.find_model`, `read_model`, `load_model` and `write_model`, `reading.read_weights`
and `check_weights`, `writing.save_weights`, and `layouts.to_layout` and `from_layout`.
"""
