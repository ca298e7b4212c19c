"""Readers of data sets' lists: a module for each format, with the interface in base.py.

Other packages take readers by their names in `READERS`. A reader of your own has the members of
`base.Reader`, and is tested by `conformance.check_reader`.
"""

# In the order in which `auto` tries them; `multi-label` lists look like others, so `auto` never chooses them.
READERS = {
    "ucf101": "expand.data.readers.ucf101:Ucf101",
    "hmdb51": "expand.data.readers.hmdb51:Hmdb51",
    "charades": "expand.data.readers.charades:Charades",
    "something-something": "expand.data.readers.something:SomethingSomething",
    "jester": "expand.data.readers.jester:Jester",
    "kinetics": "expand.data.readers.kinetics:Kinetics",
    "list": "expand.data.readers.lists:Lists",
    "multi-label": "expand.data.readers.several_labels:SeveralLabelLists",
    "folders": "expand.data.readers.folders:Folders",
}
