"""The X3D family (Feichtenhofer, CVPR 2020).

Callers use `space.X3DSpace`, with points (`factors.Factors`), architectures (`architecture.Architecture`) and
the published networks (`factors.published`). Importing this package imports no torch; building a network
does.
"""

from search_spaces.x3d.architecture import Architecture
from search_spaces.x3d.factors import Basis, Factors, published
from search_spaces.x3d.space import X3DSpace

__all__ = ["Architecture", "Basis", "Factors", "X3DSpace", "published"]
