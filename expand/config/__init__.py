"""Typed settings of searches and full trainings: read from YAML and the command line, checked, written.

Other packages build a `search.Config` by `options.build_config` or a `full.Recipe` by `options.build_recipe`,
read one from a folder by `base.load_config`, and move its videos by `data_paths.moved`. `spaces.load_space`,
`spaces.choose_axes`, `spaces.load_own` and `spaces.load_class` import what a setting names.
"""
