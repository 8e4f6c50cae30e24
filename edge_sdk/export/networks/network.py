"""The base of all networks of recipes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

from edge_sdk.errors import UsageError


class Network(nn.Module):
    """A network that is trained as a whole, and of which a device computes what the score needs.

    Attributes:
        pretrained_on: The data set behind weights of others that it can start from, for the bundle's provenance and
            licence; None where it takes none.
    """

    pretrained_on: str | None = None

    def inference_model(self, outputs: Sequence[str]) -> nn.Module:
        """The layers from the input to these outputs, as they are exported.

        One output is a tensor, several are a tuple in this order. The network itself where that is what its
        ``forward`` gives in evaluation mode; a copy where weights have to change for a device. The network is left as
        it is.
        """
        del outputs
        return self

    def comparison(self) -> nn.Module:
        """What makes a logit ``(P, 1)`` of two outputs behind one another, ``(P, 2 D)``: a copy.

        Raises:
            UsageError: Outputs are compared by a distance.
        """
        raise UsageError(f"{type(self).__name__} has no network that compares two outputs")

    def project(self, batches: Iterable[torch.Tensor]) -> None:
        """Replace the last layer by the principal components of what it is given for these inputs.

        Metric learning makes the last layer drop what its training people do not need, and new people may
        (Bordes et al., "Guillotine Regularization", 2022). What it is given still has that.

        Raises:
            UsageError: Its last layer gives no embeddings.
            ScoreError: All inputs are alike to it.
        """
        del batches
        raise UsageError(f"{type(self).__name__} has no layer of embeddings to replace")

    def load_pretrained(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Copy what belongs to the network.

        Raises:
            UsageError: It takes no weights of others.
            RuntimeError: Names or shapes differ.
        """
        raise UsageError(f"{type(self).__name__} takes none of {len(weights)} pretrained weights; leave them out")
