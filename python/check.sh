#!/usr/bin/env bash
# Builds the Python module as `cargo test` builds everything else, checks the types of the package, and runs its
# tests, in an environment of their own in target/python. Without Python 3.10, or where pip cannot install, it says
# what it skips. MENTOR_TEST_PYTHON names the interpreter of an environment that has everything already.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")

python=${MENTOR_TEST_PYTHON:-}
if [ -z "$python" ]; then
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        echo "skipped: no Python from 3.10 on, the Python package is not tested"
        exit 0
    fi
    python=$target/python/bin/python
    # PyTorch and what is measured against it are used where the machine has them; they are gigabytes.
    [ -x "$python" ] || python3 -m venv --system-site-packages "$target/python" || {
        echo "skipped: python3 cannot make an environment (python3 -m venv), the Python package is not tested"
        exit 0
    }
    if ! "$python" -m pip install --quiet -r python/tests/requirements.txt; then
        echo "skipped: pip cannot install python/tests/requirements.txt, the Python package is not tested"
        exit 0
    fi
fi
for library in torch pytorch_metric_learning; do
    "$python" -c "import $library" 2>/dev/null || echo "skipped: no $library, the tests of mentor.torch need it"
done

# With the features that the tests of the workspace have, so that nothing is built twice.
cargo build --quiet -p mentor-python -p mentor-testkit --features mentor-cli/verify
cp "$target/debug/lib_mentor.so" python/mentor/_mentor.abi3.so

export PYTHONPATH=$PWD/python
# mentor.torch has the types of PyTorch.
if "$python" -c "import torch" 2>/dev/null; then
    "$python" -m mypy
else
    "$python" -m mypy $(ls python/mentor/*.py | grep -v /torch.py)
fi
"$python" -m pytest "$@"
