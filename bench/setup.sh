#!/usr/bin/env bash
# Creates the virtual environment of the benchmark peers and installs their pinned versions into it.
#
#   bench/setup.sh                                   # into bench/.venv
#   MENTOR_BENCH_VENV=/tmp/peers bench/setup.sh      # somewhere else
#   bench/setup.sh --ranking                         # also the peers of bench/ranking.py
#   PYTHON=python3.12 bench/setup.sh                 # with another Python (3.11 or newer)
#
# Needs about 2 GB of download and 5 GB of disk, nearly all of it the shared libraries that the torch wheel links against.
# Running it again is cheap: what is installed already stays.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="${MENTOR_BENCH_VENV:-$here/.venv}"
python="${PYTHON:-python3}"

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: $python is missing or older than Python 3.11; name another one with PYTHON=..." >&2
    exit 2
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$here/requirements.txt"
if [ "${1:-}" = "--ranking" ]; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$here/requirements-ranking.txt"
    "$venv/bin/python" -W ignore -c 'import pytorch_metric_learning.losses, sentence_transformers.sentence_transformer.losses'
fi

# The installation counts only when both peers load and compute.
"$venv/bin/python" - <<'PY'
import sklearn, sklearn.linear_model, torch

scores = torch.zeros(1, 10, requires_grad=True)
torch.nn.functional.cross_entropy(scores, torch.tensor([3])).backward()
assert abs(float(scores.grad[0, 3]) + 0.9) < 1e-6, "torch computes a wrong gradient"
print(f"peers ready: scikit-learn {sklearn.__version__}, torch {torch.__version__}")
PY
echo "in $venv"
