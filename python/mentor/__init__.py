"""Image classifiers and embedding models from few labels, with exact metric-learning losses.

``mentor.torch`` holds losses for PyTorch and ``mentor.sklearn`` estimators for scikit-learn; neither is
imported here, and neither library is needed for the rest.
"""

from mentor._mentor import __version__
from mentor.errors import ConfigError, DataError, DivergedError, Interrupted, MentorError
from mentor.measures import retrieval
from mentor.runs import Run, distill, embed, evaluate, predict, report, search, self_train, train

__all__ = [
    "ConfigError",
    "DataError",
    "DivergedError",
    "Interrupted",
    "MentorError",
    "Run",
    "__version__",
    "distill",
    "embed",
    "evaluate",
    "predict",
    "report",
    "retrieval",
    "search",
    "self_train",
    "train",
]
