"""What every training run needs, whatever it trains: the order of samples, whole checkpoints, a history, probes.

`sampler`, `trainer` (Lightning, as all runs here use it), `checkpoints`, and `probes`, which tell what frozen features
are worth.
"""

from skysense_nb.training.sampler import EndlessSampler

__all__ = ["EndlessSampler"]
