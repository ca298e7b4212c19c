"""The closed form of the memory that activations take, beside what follows from the graph of the network."""

from __future__ import annotations

import pytest
import torch
from torch.fx import Node

from search_spaces.x3d import X3DSpace
from search_spaces.x3d.factors import Factors

SPACE = X3DSpace(size=32)
# What a runtime for inference computes in the memory of its input.
IN_PLACE = ("batch_norm", "relu", "silu", "sigmoid", "mul", "add", "squeeze", "flatten", "view", "transpose")


@pytest.mark.parametrize(
    "factors",
    [
        Factors(),
        Factors(frames=3, width=1.5),
        Factors(size=2.25, bottleneck=2.25),
        Factors(depth=2.2, frames=2),
        Factors(width=0.5, bottleneck=4.0),
    ],
    ids=str,
)
def test_it_is_what_the_graph_needs(factors: Factors) -> None:
    architecture = SPACE.architecture(factors)
    assert SPACE.peak(architecture, 7) == _from_graph(
        SPACE.build(architecture, 7), SPACE.example(architecture, 1)
    )


def _from_graph(network: torch.nn.Module, clip: torch.Tensor) -> int:
    """The largest number of elements alive at once, node after node of the exported graph."""
    program = torch.export.export(network.eval(), (clip,))
    inputs = {spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name != "USER_INPUT"}
    nodes = [node for node in program.graph.nodes if node.op != "output" and node.name not in inputs]
    memory: dict[Node, Node] = {}  # of each node, the node whose memory it is in
    for node in nodes:
        written = node.op != "placeholder" and any(word in str(node.target) for word in IN_PLACE)
        sources = [one for one in node.all_input_nodes if one in memory]
        same = [one for one in sources if _size(memory[one]) == _size(node)]
        memory[node] = memory[same[0]] if written and same else node
    order = {node: at for at, node in enumerate(nodes)}
    last = dict.fromkeys(memory.values(), 0)
    for node in nodes:
        for user in node.users:
            if user in order:
                last[memory[node]] = max(last[memory[node]], order[user])
    return max(
        sum(_size(one) for one in last if order[one] <= at and max(last[one], order[one]) >= at)
        for at in range(len(nodes))
    )


def _size(node: Node) -> int:
    return int(node.meta["val"].numel())
