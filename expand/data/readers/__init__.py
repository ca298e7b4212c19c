"""How data sets list their videos: a file for each way, with base.py as the contract."""

# In the order in which a folder is looked at; `multi-label` lists look as any others, so they are named.
READERS = {
    "ucf101": "expand.data.readers.ucf101:Ucf101",
    "hmdb51": "expand.data.readers.hmdb51:Hmdb51",
    "charades": "expand.data.readers.charades:Charades",
    "something-something": "expand.data.readers.something:SomethingSomething",
    "jester": "expand.data.readers.jester:Jester",
    "kinetics": "expand.data.readers.kinetics:Kinetics",
    "list": "expand.data.readers.lists:Lists",
    "multi-label": "expand.data.readers.several:SeveralLabels",
    "folders": "expand.data.readers.folders:Folders",
}
