"""Search spaces: families of video networks, how they grow, and what they cost.

xpand uses a space by the members of `base.SearchSpace` and `base.Axis`; `x3d.X3DSpace` is the space that is
included. A space of your own has the same members, and is tested by `conformance.SpaceConformance`.
"""
