"""Typed settings of searches and full trainings: read from YAML and the command line, checked, written.

Other packages read a configuration by `options.build_config` (searches) and `options.build_recipe` (full
trainings), and use the values `search.Config`, `full.Recipe` and their sections. `spaces.load_space` and
`spaces.load_class` import what a setting names; `yaml_text.parse_yaml` and `dump_yaml` read and write YAML.
"""
